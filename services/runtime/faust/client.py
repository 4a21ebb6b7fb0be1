"""A faust.App with nothing on disk, and a consumer that leaves delivery to the engine (Faust 0.15.3, Kafka 4.4)."""

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

import faust
import faust._cython.streams  # the pure one acknowledges stale events it skips
from faust.transport.drivers import aiokafka as driver
from pydantic import SecretStr

from services.runtime.kafka import patches  # noqa: F401 -- for what it does to every consumer of the process
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.membership import NOTHING, GroupTimes

STOP_S = 5.0
"""For aiokafka's thread to end, in seconds: where the broker is away it tries for minutes."""

ROOM_S = 0.05
"""While a partition's buffer is full, how soon it is asked for again, in seconds."""

POLL_RECORDS = 32
"""Records that one fetch from aiokafka's buffer returns, at most."""


def build(group: str, client: KafkaClient, times: GroupTimes | None = None) -> faust.App:
    """A faust.App of this consumer group."""
    times = times or GroupTimes()
    app = faust.App(
        group,
        broker=[f"kafka://{server}" for server in client.bootstrap.split(",")],
        broker_credentials=_credentials(client),
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        store="memory://",
        datadir=Path(tempfile.gettempdir()) / f"faust-{group}",  # it makes a folder, though it has no tables
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=client.max_message_bytes,
        # Else Faust uses its own assignor, which leaves a third worker of four partitions without any.
        table_standby_replicas=0,
        stream_buffer_maxsize=16,
        stream_wait_empty=False,  # A rebalance, and the end, would else wait for events that are acknowledged nowhere.
        broker_max_poll_records=POLL_RECORDS,
        broker_max_poll_interval=times.poll_s,
        broker_session_timeout=times.session_s,
        broker_heartbeat_interval=times.heartbeat_s,
        broker_request_timeout=times.request_s,
        broker_rebalance_timeout=times.rebalance_s,
    )
    app.transport.Consumer = Consumer  # type: ignore[misc] # Faust's own class variable
    return app


def _credentials(client: KafkaClient) -> Any:
    arguments = client.arguments()
    context, password = arguments.get("ssl_context"), client.password or SecretStr("")
    if "sasl_mechanism" in arguments:
        return faust.SASLCredentials(
            mechanism=client.sasl_mechanism,
            username=client.username,
            password=password.get_secret_value(),
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None


class Member(Protocol):
    """Who reads what the consumer fetches: the app's `FaustSource`."""

    def has_room(self, partition: Any) -> bool:
        """Whether records of a partition may be fetched."""
        ...

    def on_assigned(self, partitions: Collection[Any], generation: int) -> None:
        """The group has given these partitions to this member."""
        ...

    async def on_revoked(self) -> None:
        """Every partition is being revoked: the last moment to commit for them."""
        ...


class Consumer(driver.Consumer):
    """Fetches what its member has room for, and tells it of rebalances.

    Faust drops what is fetched while a rebalance ends, then seeks to the commits. A partition without a commit it
    leaves where it is, past what was dropped: here such a partition begins again at its earliest record.
    """

    member: Member

    def _new_consumer_thread(self) -> Any:
        thread = super()._new_consumer_thread()
        thread.shutdown_timeout = STOP_S
        return thread

    async def seek_to_committed(self) -> Mapping[Any, int]:
        """As Faust's; a partition without a commit is read from its beginning."""
        committed: Mapping[Any, int] = await super().seek_to_committed()
        if never := [partition for partition, offset in committed.items() if not offset]:
            await self._thread.seek_to_beginning(*never)
        return committed

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        """Back-pressure by not asking: Faust's own pause drops what was fetched, and its queues of a topic fill up."""
        wanted = {partition for partition in active_partitions or () if self.member.has_room(partition)}
        if len(wanted) < len(active_partitions or ()):
            timeout = min(timeout, ROOM_S)
        return await super()._getmany(wanted or {NOTHING}, timeout)

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        """As Faust's; the member first, so that it is there for the first record."""
        self.member.on_assigned(assigned, generation_id)
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """As Faust's, after the member's last commit."""
        await self.member.on_revoked()
        await super().on_partitions_revoked(revoked)

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Nothing: it would report that Faust commits nothing. The engine's watchdog detects what is stalled."""

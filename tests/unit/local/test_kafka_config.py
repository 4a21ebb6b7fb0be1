"""A broker's configuration, for one and for three."""

from pathlib import Path

from services.local.servers.kafka_config import Limits, Node, java_options, server_properties

NODES = [Node(i, 20_000 + i, 21_000 + i) for i in (1, 2, 3)]


def properties(nodes: list[Node], **more: str) -> dict[str, str]:
    text = server_properties(nodes[0], nodes, Path("data"), Limits(max_message_bytes=5_000_000), more)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_nothing_listens_beyond_the_loopback() -> None:
    given = properties(NODES)
    assert given["listeners"] == "CLIENT://127.0.0.1:20001,CONTROLLER://127.0.0.1:21001"
    assert given["advertised.listeners"] == "CLIENT://127.0.0.1:20001"
    assert given["controller.quorum.voters"] == "1@127.0.0.1:21001,2@127.0.0.1:21002,3@127.0.0.1:21003"


def test_replication_fits_the_number_of_brokers() -> None:
    def replication(nodes: list[Node]) -> set[tuple[str, str]]:
        return {(k, v) for k, v in properties(nodes).items() if "replica" in k or "isr" in k}

    topics = ("default.replication.factor", "offsets.topic.replication.factor")
    states = ("transaction.state.log", "share.coordinator.state.topic")
    for nodes, replicas, in_sync in ((NODES[:1], "1", "1"), (NODES, "3", "2")):
        expected = {(topic, replicas) for topic in topics} | {("min.insync.replicas", in_sync)}
        expected |= {(f"{state}.replication.factor", replicas) for state in states}
        expected |= {(f"{state}.min.isr", in_sync) for state in states}
        assert replication(nodes) == expected | {("replica.fetch.max.bytes", "5000000")}


def test_delivery_s_rules_are_kept() -> None:
    given = properties(NODES[:1])
    assert given["auto.create.topics.enable"] == "false"
    assert int(given["offsets.retention.minutes"]) == 30 * 24 * 60
    assert given["message.max.bytes"] == "5000000"


def test_the_callers_properties_override() -> None:
    assert properties(NODES, **{"num.io.threads": "1"})["num.io.threads"] == "1"


def test_heap_is_bounded() -> None:
    assert "-Xmx200m" in java_options(Limits(heap="200m"), Path("log4j2.properties"))

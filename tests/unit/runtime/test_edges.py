"""Client settings, health server, metrics, logs; and the private parts of aiokafka that are used."""

import inspect
import json
import logging
import sys
from dataclasses import replace

import aiohttp
import aiokafka
import pytest
import structlog
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.coordinator.assignors.sticky.sticky_assignor import (
    StickyPartitionAssignor,
)
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.producer.message_accumulator import MessageAccumulator
from prometheus_client.exposition import generate_latest
from pydantic import SecretStr

from services.contracts.dead import DEAD_LETTER_HEADER
from services.core.errors import BrokerAway, Dead
from services.core.holds import Holds
from services.core.messages import OutgoingRecord, TopicPartition
from services.runtime.engine.counters import Counters
from services.runtime.engine.metrics import HELP, EngineMetrics, HealthMetrics, registry
from services.runtime.engine.state import EngineState
from services.runtime.engine.watchdog import Health
from services.runtime.kafka.assignor import sticky
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.sink import KafkaSink
from services.runtime.process import logs
from services.runtime.process.health import HealthServer

NOWHERE = KafkaClient(bootstrap="127.0.0.1:1", max_message_bytes=1_000)


def test_the_private_parts_of_aiokafka_are_as_they_were() -> None:
    assert aiokafka.__version__ == "0.14.0"
    assert list(inspect.signature(GroupCoordinator._do_commit_offsets).parameters) == ["self", "assignment", "offsets"]
    assert list(inspect.signature(GroupCoordinator.fetch_committed_offsets).parameters) == ["self", "partitions"]
    assert inspect.iscoroutinefunction(GroupCoordinator.ensure_coordinator_known)
    assert "self.generation," in inspect.getsource(GroupCoordinator._do_commit_offsets)
    before_the_request = inspect.getsource(GroupCoordinator._do_commit_offsets).split("OffsetCommitRequest(")[0]
    assert "await" not in before_the_request, "our look at the generation holds until the request is built"
    assert list(inspect.signature(MessageAccumulator.fail_all).parameters) == ["self", "exception"]


def test_each_consumer_has_a_sticky_assignor_of_its_own_that_knows_generations() -> None:
    one, other = sticky(lambda: 7), sticky(lambda: 9)
    one.on_assignment(ConsumerProtocolMemberAssignment(0, [("in", [1, 2])], b""))  # type: ignore[attr-defined]
    assert one.generation == 7  # type: ignore[attr-defined]
    assert one.member_assignment == [("in", 1), ("in", 2)]  # type: ignore[attr-defined]
    assert other.member_assignment is None  # type: ignore[attr-defined]
    assert StickyPartitionAssignor.member_assignment is None
    parsed = one.parse_member_metadata(one.metadata(["in"]))  # type: ignore[attr-defined]
    assert parsed.generation == 7


def test_client_arguments_log_in_and_hide_the_password() -> None:
    client = KafkaClient(
        bootstrap="a:1,b:2", security_protocol="SASL_SSL", username="me", password=SecretStr("hush"), name="toy"
    )
    arguments = client.arguments()
    assert arguments["bootstrap_servers"] == ["a:1", "b:2"]
    assert arguments["sasl_plain_password"] == "hush"
    assert arguments["ssl_context"].check_hostname
    assert "hush" not in repr(client)
    assert "ssl_context" not in KafkaClient(bootstrap="a:1").arguments()


async def test_a_message_that_is_too_large_is_refused_before_it_is_sent() -> None:
    async with KafkaSink(NOWHERE) as sink:
        with pytest.raises(Dead) as dead:
            await sink.publish([OutgoingRecord("out", b"key", b"x" * 1_000, {})])
    assert dead.value.kind == "defect"
    assert "1003 bytes for out: at most 1000" in dead.value.error


async def test_a_dead_letter_may_be_larger_and_a_broker_be_away() -> None:
    async with KafkaSink(NOWHERE, confirm_s=0.5) as sink:
        with pytest.raises(BrokerAway, match="Kafka"):
            await sink.publish([OutgoingRecord("dead", b"key", b"x" * 1_000, {DEAD_LETTER_HEADER: b"{}"})])


async def test_the_health_server_says_why() -> None:
    health = [Health(live=True, ready=False, why=["no assignment"])]
    async with (
        HealthServer(host="127.0.0.1", port=0, health=lambda: health[0]) as server,
        aiohttp.ClientSession() as http,
    ):
        base = f"http://127.0.0.1:{server.port}"
        async with http.get(f"{base}/healthz") as answer:
            assert answer.status == 200
        async with http.get(f"{base}/readyz") as answer:
            assert answer.status == 503
            assert await answer.json() == {"ok": False, "why": ["no assignment"]}
        health[0] = Health(live=False, ready=False, why=["call-1: calling for too long"])
        async with http.get(f"{base}/healthz") as answer:
            assert answer.status == 503
        async with http.get(f"{base}/metrics") as answer:
            assert answer.status == 200
            assert answer.content_type == "text/plain"
            text = await answer.text()
    assert "reasonmed_live 0.0" in text
    assert "reasonmed_ready 0.0" in text


def test_every_metric_is_exported() -> None:
    counters = Counters(taken=3)
    counters.dead["poison"] = 2
    counters.waits["ledger"] = 4
    state = EngineState(lag={TopicPartition("in", 1): 7}, windows={TopicPartition("in", 1): 2})
    health = HealthMetrics(lambda: Health(live=True, ready=False, why=[]))
    holds = Holds()
    collector = EngineMetrics("toy", counters, lambda: state, holds)
    assert "begun_written" not in generate_latest(registry(collector)).decode()
    state = replace(state, begun_written_ms=1_779_019_200_500)
    with holds.hold("call-1", "calling", for_s=1):
        text = generate_latest(registry(collector, health)).decode()
    for name in HELP:
        assert f"# HELP {name}" in text
    assert 'reasonmed_messages_taken_total{service="toy"} 3.0' in text
    assert 'reasonmed_messages_dead_total{kind="poison",service="toy"} 2.0' in text
    assert 'reasonmed_messages_dead_total{kind="killer",service="toy"} 0.0' in text
    assert 'reasonmed_lag_offsets{partition="1",service="toy",topic="in"} 7.0' in text
    assert 'reasonmed_held{service="toy",state="calling"} 1.0' in text
    assert 'reasonmed_dependency_waits_total{dependency="ledger",service="toy"} 4.0' in text
    assert 'reasonmed_message_begun_written_timestamp_seconds{service="toy"} 1.7790192005e+09' in text
    assert "reasonmed_live 1.0" in text
    assert "reasonmed_ready 0.0" in text
    assert "process_start_time_seconds" in text


@pytest.fixture
def _logging_restored() -> object:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logging_restored")
def test_logs_are_json_without_payloads_and_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    sys.stderr.flush()
    logs.configure(service="toy", owner="me")
    structlog.get_logger("x").warning("away", value=b"a question", password=SecretStr("hush"), offset=3)
    logging.getLogger("aiokafka").debug("Sending a question")
    logging.getLogger("aiokafka").warning("from the library")
    try:
        raise RuntimeError("seen")
    except RuntimeError:
        logging.getLogger("y").exception("failed")
    err = capsys.readouterr().err
    first, second, third = (json.loads(line) for line in err.splitlines())
    assert first.items() >= {"event": "away", "service": "toy", "owner": "me", "offset": 3, "level": "warning"}.items()
    assert (first["value"], first["password"]) == ("<10 bytes>", "<secret>")
    assert (second["event"], second["logger"]) == ("from the library", "aiokafka")
    assert "RuntimeError: seen" in third["exception"]
    assert "question" not in err


def test_a_library_repeats_itself_seldom() -> None:
    now = [100.0]
    seldom = logs.Seldom(clock=lambda: now[0])

    def heard(name: str, message: str, argument: int) -> bool:
        return bool(seldom.filter(logging.LogRecord(name, logging.ERROR, "", 0, message, (argument,), None)))

    assert heard("aiokafka.consumer", "node %s is gone", 1)
    assert not heard("aiokafka.consumer", "node %s is gone", 2)
    assert heard("aiokafka.consumer", "another thing: %s", 1)
    assert heard("services.runtime", "node %s is gone", 1)
    assert heard("services.runtime", "node %s is gone", 1)
    now[0] += 10
    assert heard("aiokafka.consumer", "node %s is gone", 3)

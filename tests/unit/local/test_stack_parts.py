"""The parts of the local stack that need no process: environment, folders, calls, samples."""

import gzip
import json
import socket
from pathlib import Path

import pytest
from pydantic import SecretStr

from services import recipes
from services.contracts.base import CallId, RecipeId
from services.contracts.case import Usage
from services.core.endpoint import Endpoint
from services.core.ledger.calls import Reply
from services.ledger.memory.ledger import memory_ledger
from services.local import demo, replay
from services.local.audit.calls import Calls, LedgerCounter, LogCounter
from services.local.processes.environment import environment
from services.local.processes.folders import FolderInUse, claimed, emptied, first_free
from services.local.processes.ports import LOOPBACK, PortInUse, claimed_port, free_ports
from services.local.processes.supervisor import Supervisor
from services.local.servers import model_server as serving
from services.local.stack import Plan, Stack
from services.runtime.kafka.client import KafkaClient
from services.runtime.process.settings import Settings

CALL_1 = CallId("call-1")
CALL_2 = CallId("call-2")


def test_the_settings_that_a_child_reads_are_those_that_were_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    client = KafkaClient(bootstrap="kafka:9092", security_protocol="SASL_SSL", username="u", password=SecretStr("p:{}"))
    models = {"small": Endpoint("http://127.0.0.1:1/v1", api_key=SecretStr("key"), max_calls=4)}
    env = environment({"PATH": "/bin"}, client=client, ledger="memory://", models=models, port=0, name="verifier-1")
    assert env["PATH"] == "/bin"
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.kafka == client
    assert settings.models == models
    assert (settings.ledger.get_secret_value(), settings.port, settings.name) == ("memory://", 0, "verifier-1")


def test_admission_settings_reach_the_router(tmp_path: Path) -> None:
    plan = Plan(
        folder=tmp_path, recipe=recipes.load("default"), model=serving.Scripted(), admission={"NEAR_DUPLICATES": "0.85"}
    )
    server = serving.server(plan.model, tmp_path, {})
    client = KafkaClient(bootstrap="127.0.0.1:1")
    stack = Stack(plan, client, "memory://", RecipeId("recipe"), server, Supervisor(stop_within=1), {}, None)
    env = stack.command(("router",), "router").env or {}
    assert env["REASONMED_ADMISSION__NEAR_DUPLICATES"] == "0.85"


def test_a_folder_is_one_run_s_alone(tmp_path: Path) -> None:
    with claimed(tmp_path / "up") as folder:
        with pytest.raises(FolderInUse, match="another --folder"), claimed(tmp_path / "up"):
            pass
        with first_free(tmp_path / "up") as second, first_free(tmp_path / "up") as third:
            assert [second, third] == [folder.with_name("up-2"), folder.with_name("up-3")]
    with first_free(tmp_path / "up") as again:
        assert again == folder


def test_an_emptied_folder_keeps_its_lock(tmp_path: Path) -> None:
    with claimed(tmp_path / "demo") as folder:
        (folder / "kafka").mkdir()
        (folder / "kafka" / "log").write_text("old")
        (folder / "summary.json").write_text("{}")
        assert [path.name for path in emptied(folder).iterdir()] == ["lock"]
        with pytest.raises(FolderInUse), claimed(tmp_path / "demo"):
            pass


async def test_calls_are_counted_from_whole_lines_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    log.write_bytes(b'{"event":"start","n":1}\n{"event":"start","n":2}\n{"event":"end","n":1}\n{"event":"st')
    counter = LogCounter(log)
    assert await counter.count() == Calls(2, 1)
    with log.open("ab") as file:
        file.write(b'art","n":3}\n')
    calls = await counter.count()
    assert calls == Calls(3, 1)
    assert calls.under_way == 2


async def test_calls_are_counted_from_the_ledger_where_there_is_no_log() -> None:
    ledger = memory_ledger()
    await ledger.calls.claim([CALL_1, CALL_2, CallId("call-3")], owner="one", lease_s=60)
    await ledger.calls.complete({CALL_1: Reply("text", "stop", Usage())}, owner="one")
    await ledger.calls.release([CALL_2], owner="one")
    assert await LedgerCounter(ledger.books).count() == Calls(2, 1)


def test_the_real_part_takes_short_questions_and_the_scripted_one_all() -> None:
    recipe = recipes.load("demo")
    real = demo.real(Path("build/demo"), recipe, serving.Small())
    scripted = demo.scripted(Path("build/demo"), recipe)
    assert (len(real.questions), len(scripted.questions)) == (3, 30)
    assert "SCRIPTED" in scripted.title
    assert {question.key for question in real.questions} <= {question.key for question in scripted.questions}


def test_one_server_serves_every_alias_of_a_recipe() -> None:
    recipe = demo.served_as(recipes.load("default"), "SmolLM2")
    assert {model.served for model in recipe.models.values()} == {"SmolLM2"}
    assert set(recipe.models) == set(recipes.load("default").models)


class TestReplay:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        rows = [{"question": f"q{n // 2}", "options": {"A": "1", "B": "2"}, "answer": "A"} for n in range(20)]
        with gzip.open(tmp_path / replay.QUESTIONS, "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        return tmp_path

    def test_a_sample_is_distinct_and_of_its_seed(self, data: Path) -> None:
        drawn = replay.sample(data, 6, seed=1)
        assert len({question.key for question in drawn}) == 6
        assert drawn == replay.sample(data, 6, seed=1)
        assert drawn != replay.sample(data, 6, seed=2)

    def test_too_few_questions_are_reported(self, data: Path) -> None:
        with pytest.raises(replay.NoData, match="10 distinct questions"):
            replay.sample(data, 11, seed=1)
        with pytest.raises(replay.NoData, match=r"there is no .*questions.jsonl.gz"):
            replay.sample(data / "elsewhere", 1, seed=1)


def test_a_port_is_one_stack_s_alone() -> None:
    (port,) = free_ports(1)
    with claimed_port(port) as ours:
        assert ours == port
        with pytest.raises(PortInUse, match="another stack"), claimed_port(port):
            pytest.fail("the port was claimed twice")
    with socket.socket() as other:
        other.bind((LOOPBACK, port))
        with pytest.raises(PortInUse, match="another process"), claimed_port(port):
            pytest.fail("the port of another process was claimed")

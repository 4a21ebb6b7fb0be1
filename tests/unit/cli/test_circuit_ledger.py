"""`reasonmed circuit` and `reasonmed ledger`, on a SQLite ledger."""

import asyncio
import json
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest

from services.cli.__main__ import main
from services.cli.repair import circuit
from services.contracts.base import CallId, CaseId, RecipeId
from services.contracts.case import Usage
from services.contracts.topics import CASE_REJECTED, PATHS_GENERATED, topics
from services.core.ledger.calls import Reply
from services.core.messages import Position
from services.ledger import open_ledger
from services.ledger.sqlite.ledger import open_sqlite
from services.local.processes.ports import LOOPBACK, free_ports
from services.runtime.kafka.declare import TopicSpec

DAY_S = 24 * 3600
DAY_MS = DAY_S * 1000


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    made = f"sqlite://{tmp_path}/ledger.sqlite"
    monkeypatch.setenv("REASONMED_LEDGER", made)
    return made


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def why(url: str, service: str) -> str | None:
    async def ask() -> str | None:
        async with open_ledger(url) as opened:
            return await opened.circuits.why(service)

    return asyncio.run(ask())


def open_circuit(url: str, service: str) -> None:
    async def set_it() -> None:
        async with open_ledger(url) as opened:
            await opened.circuits.set(service, "20 dead letters within 3 s")

    asyncio.run(set_it())


def test_circuits_are_listed_and_closed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    open_circuit(url, "refiner-medium")
    assert run("circuit", "list", "--json") == 0
    listed = {each["service"]: each["why"] for each in json.loads(capsys.readouterr().out)}
    assert listed == dict.fromkeys(circuit.services()) | {"refiner-medium": "20 dead letters within 3 s"}
    assert run("circuit", "close", "refiner-medium") == 0
    assert "20 dead letters within 3 s" in capsys.readouterr().out
    assert why(url, "refiner-medium") is None
    assert run("circuit", "close", "refiner-medium") == 0
    assert "was already closed" in capsys.readouterr().out


def test_only_what_has_a_circuit_can_be_closed(url: str) -> None:
    assert set(circuit.services()) == {
        "router", "generator", "verifier", "refiner-medium", "refiner-difficult", "summarizer",
    }  # fmt: skip
    assert run("circuit", "close", "refiner") == 2


def test_without_a_ledger_none_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("circuit", "list", "--folder", str(tmp_path)) == 1
    assert "REASONMED_LEDGER" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


class TestPrune:
    @pytest.fixture(autouse=True)
    def cluster(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
        """The retention.ms of each topic on the cluster."""
        kept = {
            name: 30 * DAY_MS
            for name, topic in topics().items()
            if topic.message in ("submission", "case") and name != CASE_REJECTED
        }

        async def describe(_: object, names: Collection[str]) -> dict[str, TopicSpec]:
            return {
                name: TopicSpec(name=name, partitions=1, replication=1, config={"retention.ms": str(kept[name])})
                for name in names
                if name in kept
            }

        monkeypatch.setattr("services.cli.repair.ledger.kafka_topics.describe", describe)
        monkeypatch.setattr("services.cli.repair.ledger.brokers", AsyncMock(return_value=1))
        return kept

    @pytest.fixture(autouse=True)
    def calls(self, url: str) -> None:
        """One call of 46 days ago, and one of 44."""

        async def write() -> None:
            for days in (46, 44):
                at = time.time() - days * DAY_S
                path = Path(url.removeprefix("sqlite://"))
                async with open_sqlite(path, clock=partial(float, at)) as opened:
                    await opened.calls.complete({CallId(f"call-{days}"): Reply("text", "stop", Usage())}, owner="me")

        asyncio.run(write())

    def left(self, url: str) -> list[str]:
        async def ask() -> list[str]:
            async with open_ledger(url) as opened:
                return [row.call_id for row in await opened.books.calls()]

        return asyncio.run(ask())

    def test_older_entries_are_pruned(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("ledger", "prune", "--older-than", "45d", "--yes", "--json") == 0
        said: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert (said["dry_run"], said["calls"]) == (False, 1)
        assert self.left(url) == ["call-44"]

    def test_without_yes_nothing_is_pruned(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("ledger", "prune", "--older-than", "45d") == 0
        assert "add --yes" in capsys.readouterr().out
        assert len(self.left(url)) == 2

    def test_questions_are_forgotten_only_where_asked_and_no_sooner_than_their_calls(self, url: str) -> None:
        def known() -> int:
            async def ask() -> int:
                async with open_ledger(url) as opened:
                    return (await opened.books.admitted())["first"]

            return asyncio.run(ask())

        async def admit() -> None:
            path = Path(url.removeprefix("sqlite://"))
            async with open_sqlite(path, clock=partial(float, time.time() - 100 * DAY_S)) as opened:
                await opened.admissions.admit(
                    CaseId("case-1"), named=None, current=RecipeId("r"), life=0, position=Position("t", 0, 0)
                )

        asyncio.run(admit())
        assert run("ledger", "prune", "--older-than", "45d", "--yes") == 0
        assert known() == 1
        assert run("ledger", "prune", "--older-than", "45d", "--admissions", "44d", "--yes") == 2
        assert known() == 1
        assert run("ledger", "prune", "--older-than", "45d", "--admissions", "90d", "--yes") == 0
        assert known() == 0

    @pytest.mark.parametrize("age", ["45", "45h", "-45d", "1000000d"])
    def test_an_invalid_age_is_refused(self, url: str, age: str) -> None:
        assert run("ledger", "prune", f"--older-than={age}", "--yes") == 2
        assert len(self.left(url)) == 2

    @pytest.mark.parametrize(
        ("kept_ms", "age", "code"),
        [
            (30 * DAY_MS, "30d", 0),
            (30 * DAY_MS, "29d", 2),
            (30 * DAY_MS + 1, "30d", 2),
            (7 * DAY_MS, "30d", 0),
            (7 * DAY_MS, "29d", 2),  # the other topics' retention is 30 days
            (90 * DAY_MS, "89d", 2),
            (90 * DAY_MS, "90d", 0),
            (-1, "99999d", 2),
        ],
    )
    @pytest.mark.parametrize("flags", [[], ["--yes"]], ids=["dry", "yes"])
    def test_entries_within_retention_are_kept(
        self, url: str, cluster: dict[str, int], kept_ms: int, age: str, code: int, flags: list[str]
    ) -> None:
        cluster[PATHS_GENERATED] = kept_ms
        assert run("ledger", "prune", f"--older-than={age}", *flags) == code
        if code:
            assert len(self.left(url)) == 2

    def test_the_topic_that_forbids_it_is_named(
        self, cluster: dict[str, int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        cluster[PATHS_GENERATED] = 90 * DAY_MS
        assert run("ledger", "prune", "--older-than", "45d", "--yes") == 2
        printed = capsys.readouterr().err
        assert PATHS_GENERATED in printed
        assert str(90 * DAY_MS) in printed

    def test_topics_read_only_by_taps_do_not_count(self, cluster: dict[str, int]) -> None:
        assert CASE_REJECTED not in cluster
        cluster[CASE_REJECTED] = 90 * DAY_MS
        assert run("ledger", "prune", "--older-than", "45d") == 0

    def test_another_kafka_is_not_asked(
        self, url: str, cluster: dict[str, int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        del cluster[PATHS_GENERATED]
        assert run("ledger", "prune", "--older-than", "45d", "--yes") == 1
        assert PATHS_GENERATED in capsys.readouterr().err
        assert len(self.left(url)) == 2


class TestPruneWithoutKafka:
    def test_nothing_is_pruned_unasked(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        nowhere = f"{LOOPBACK}:{free_ports(1)[0]}"
        assert run("ledger", "prune", "--older-than", "45d", "--yes", "--bootstrap", nowhere) == 1
        printed = capsys.readouterr().err
        assert nowhere in printed
        assert "--bootstrap" in printed

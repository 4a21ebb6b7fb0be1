"""The laws of the port StatusStore, for memory, SQLite and Valkey."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import valkey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.contracts.base import CaseId
from services.contracts.topics import CASE_ACCEPTED, QUESTION_ADMITTED, QUESTION_SUBMITTED, RECORD_COMPLETED
from services.core.errors import LedgerAway
from services.core.status.case_status import Agreement, CaseEvent, CaseHistory, Savings
from services.core.status.store import Filter, StatusStore
from services.ledger import open_status_store
from services.ledger.memory.status import MemoryStatusStore
from services.ledger.sqlite.status import SqliteStatusStore
from services.ledger.valkey.status import ValkeyStatusStore
from tests.laws.conftest import FakeClock, ValkeyProcess
from tests.sightings import BEGUN_MS, at_its_end, case_event, record, sightings

CASE_1 = CaseId("case-1")

Open = Callable[[], AbstractAsyncContextManager[StatusStore]]
KINDS = ["memory", "sqlite", "valkey"]


@pytest.fixture(params=KINDS)
def opened(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Open:
    """Opens the same store each time, like another process."""
    memory = MemoryStatusStore(clock)

    @asynccontextmanager
    async def in_memory() -> AsyncIterator[StatusStore]:
        yield memory

    match request.param:
        case "memory":
            return in_memory
        case "sqlite":
            return lambda: SqliteStatusStore.open(tmp_path / "ledger.standings.sqlite", clock)
        case _:
            url = request.getfixturevalue("valkey_server").url
            with valkey.Valkey.from_url(url) as client:
                client.flushall()
            return lambda: ValkeyStatusStore.open(url, clock)


@pytest.fixture
async def store(opened: Open) -> AsyncIterator[StatusStore]:
    async with asyncio.timeout(60), opened() as store:
        yield store


@given(found=st.lists(sightings("case-1") | sightings("case-2"), min_size=1, max_size=10))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_store_agrees_with_the_pure_values(opened: Open, found: list[CaseEvent]) -> None:
    async with opened() as store:
        known = {name: await store.case(name) or CaseHistory(name) for name in (CaseId("case-1"), CaseId("case-2"))}
        before = await store.tally(BEGUN_MS)
        for each in found:
            await store.observe([each])
        await store.observe(found)
        for name, case in known.items():
            expected, _ = case.with_(each for each in found if each.case_id == name)
            assert (await store.case(name) or CaseHistory(name)) == expected
        after = await store.tally(BEGUN_MS)
        cases = [await store.case(name) or CaseHistory(name) for name in known]
        assert sum(after.seen.values()) == sum(len(case.events) for case in cases)
        now = [standing for case in cases for standing in case.statuses()]
        assert sum(after.standing.values()) == len(now)
        opens = [standing for standing in now if standing.end is None]
        assert after.oldest_ms == {
            topic: min(standing.since_ms for standing in opens if standing.topic == topic)
            for topic in {standing.topic for standing in opens}
        }
        assert sum(before.seen.values()) <= sum(after.seen.values())
        latest = await store.latest(Filter(), limit=10)
        assert sorted(latest, key=repr) == sorted(now, key=repr)
        assert [each.since_ms for each in latest] == sorted((each.since_ms for each in latest), reverse=True)


async def test_a_new_store_is_empty(store: StatusStore) -> None:
    assert await store.case(CASE_1) is None
    assert await store.published() is None
    assert await store.latest(Filter(), limit=5) == []
    tally = await store.tally(BEGUN_MS)
    assert (tally.standing, tally.oldest_ms, tally.seen, tally.recent, tally.routes) == ({}, {}, {}, {}, {})
    assert list(tally.records) == []


async def test_records_are_summed_and_rates_are_of_the_last_minute(store: StatusStore) -> None:
    await store.observe([record(0), record(1), record(0, offset=9)])
    tally = await store.tally(BEGUN_MS)
    (sums,) = tally.records
    assert (sums.difficulty, sums.alias, sums.records, sums.usd) == ("easy", "qwen", 2, 0.5)
    assert (sums.prompt, sums.completion) == (200, 20)
    assert tally.standing == {(RECORD_COMPLETED, "accepted"): 1}
    assert tally.recent == {RECORD_COMPLETED: 2}
    assert (await store.tally(BEGUN_MS + 70_000)).recent == {}


async def test_what_cases_did_not_need_and_judges_said_is_summed_once(store: StatusStore) -> None:
    ended = [
        case_event(CASE_ACCEPTED, case_id=f"case-{n}", **at_its_end(n), written_ms=BEGUN_MS + 9_000) for n in (1, 2)
    ]
    await store.observe([*ended, ended[0]])
    earlier = replace(ended[1], **at_its_end(3), written_ms=BEGUN_MS, position=replace(ended[1].position, partition=1))
    await store.observe([earlier])  # of two messages with one key the one written first counts
    tally = await store.tally(BEGUN_MS)
    assert list(tally.spared) == [Savings("judging", "verify", 2, 0.0), Savings("sampling", "generate", 4, 0.5)]
    assert list(tally.agreement) == [Agreement("qwen", gold=8, gold_in_error=2, other=4, other_correct=2)]


async def test_latest_filters_by_end_topic_source_and_difficulty(store: StatusStore) -> None:
    await store.observe(
        [
            case_event(QUESTION_ADMITTED, case_id="a", source="MedQA"),
            record(0, of=1, case_id="b", written_ms=BEGUN_MS + 1),
            case_event(CASE_ACCEPTED, case_id="c", difficulty="medium", written_ms=BEGUN_MS + 2),
        ]
    )

    async def latest(**which: str) -> list[str]:
        return [standing.case_id for standing in await store.latest(Filter(**which), limit=10)]  # type: ignore[arg-type]

    assert await latest() == ["c", "b", "a"]
    assert await latest(end="open") == ["c", "a"]
    assert await latest(end="accepted") == ["b"]
    assert await latest(topic=QUESTION_ADMITTED) == await latest(source="MedQA") == ["a"]
    assert await latest(difficulty="medium") == ["c"]
    assert len(await store.latest(Filter(), limit=2)) == 2


async def test_pruning_drops_old_ended_cases_and_keeps_counts(store: StatusStore, clock: FakeClock) -> None:
    await store.observe([record(0, of=1), case_event(QUESTION_ADMITTED, case_id="open")])
    clock.pass_(100)
    assert await store.prune(101) == 0
    before = await store.tally(BEGUN_MS)
    assert await store.prune(99) == 1
    assert await store.case(CASE_1) is None
    assert await store.tally(BEGUN_MS) == before
    assert [each.case_id for each in await store.latest(Filter(), limit=9)] == ["open"]


async def test_publishing_drops_old_rates_and_keeps_the_last_figures(store: StatusStore, clock: FakeClock) -> None:
    await store.observe([case_event(QUESTION_ADMITTED)])
    await store.publish(b"one")
    assert (await store.tally(BEGUN_MS)).recent == {QUESTION_ADMITTED: 1}
    clock.pass_(3700)
    await store.publish(b"two")
    assert await store.published() == b"two"
    assert (await store.tally(BEGUN_MS)).recent == {}
    assert (await store.tally(BEGUN_MS)).seen == {QUESTION_ADMITTED: 1}


async def test_concurrent_writers_give_exact_sums(opened: Open) -> None:
    everything = [
        each
        for number in range(10)
        for each in (
            case_event(QUESTION_SUBMITTED, "", case_id=f"case-{number}"),
            case_event(QUESTION_ADMITTED, case_id=f"case-{number}"),
            *(record(index, case_id=f"case-{number}") for index in range(2)),
        )
    ]
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(opened()) for _ in range(3)]

        async def write(store: StatusStore, found: list[CaseEvent]) -> None:
            for each in found:
                await store.observe([each])

        orders = [everything, everything[::-1], everything[1::2] + everything[::2]]
        await asyncio.gather(*(write(store, order) for store, order in zip(stores, orders, strict=True)))
        tally = await stores[0].tally(BEGUN_MS)
    assert tally.standing == {(RECORD_COMPLETED, "accepted"): 10}
    assert tally.seen == {QUESTION_SUBMITTED: 10, QUESTION_ADMITTED: 10, RECORD_COMPLETED: 20}
    assert [sums.records for sums in tally.records] == [20]
    assert tally.oldest_ms == {}


WRITER = """
import asyncio, sys
from services.ledger import open_status_store
from tests.sightings import record

async def main():
    async with open_status_store(sys.argv[1]) as store:
        for number in range(40):
            await store.observe([record(number % 2, case_id=f"case-{number // 2}")])

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["sqlite", "valkey"])
async def test_concurrent_processes_give_exact_sums(
    kind: str, tmp_path: Path, own_valkey: Callable[..., ValkeyProcess]
) -> None:
    url = f"sqlite://{tmp_path}/ledger.sqlite" if kind == "sqlite" else own_valkey().url
    writers = [await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, url) for _ in range(3)]
    assert [await writer.wait() for writer in writers] == [0, 0, 0]
    async with open_status_store(url) as store:
        tally = await store.tally(BEGUN_MS)
    assert tally.standing == {(RECORD_COMPLETED, "accepted"): 20}
    assert tally.seen == {RECORD_COMPLETED: 40}
    assert kind != "sqlite" or [path.name for path in tmp_path.glob("*.sqlite")] == ["ledger.standings.sqlite"]


async def test_an_unavailable_store_raises_ledger_away(
    tmp_path: Path, own_valkey: Callable[..., ValkeyProcess]
) -> None:
    server = own_valkey()
    memory = MemoryStatusStore()
    async with (
        open_status_store(f"sqlite://{tmp_path}/ledger.sqlite") as file,
        open_status_store(server.url) as remote,
    ):
        memory.away = "gone"
        os.kill(server.pid, signal.SIGKILL)
        for path in tmp_path.glob("*.sqlite*"):
            path.unlink()
        for store in (memory, file, remote):
            with pytest.raises(LedgerAway):
                await store.observe([case_event(QUESTION_ADMITTED)])
            with pytest.raises(LedgerAway):
                await store.published()


def test_a_repeat_in_another_slice_moves_the_rate() -> None:
    late = case_event(QUESTION_ADMITTED, written_ms=BEGUN_MS + 60_000, offset=1)
    case, _ = CaseHistory(CASE_1).with_([late])
    _, delta = case.with_([replace(late, written_ms=BEGUN_MS)])
    assert sorted(delta.slices.values()) == [-1, 1]


async def test_totals_of_minutes_are_kept_for_a_day_each_minute_once(store: StatusStore) -> None:
    assert await store.minutes(0) == []
    for minute, totals in ((100, b"a"), (101, b"b"), (100, b"c"), (1_540, b"d")):
        await store.keep_minute(minute, totals)
    assert await store.minutes(0) == [b"c", b"b", b"d"]
    assert await store.minutes(101) == [b"b", b"d"]
    await store.keep_minute(1_541, b"e")
    assert await store.minutes(0) == [b"b", b"d", b"e"]


async def test_ended_cases_are_counted_by_difficulty_and_time(store: StatusStore) -> None:
    begun = case_event(QUESTION_SUBMITTED, "")
    ended = [record(index, written_ms=BEGUN_MS + 45_000 * (index + 1)) for index in range(2)]
    await store.observe([*ended, begun])
    await store.observe(ended)
    tally = await store.tally(BEGUN_MS)
    (counts,) = tally.case_seconds.values()
    assert {name: n for name, n in counts.items() if n} == {"120": 1, "sum_ms": 90_000}

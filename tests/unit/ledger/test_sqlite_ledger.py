"""The SQLite ledger and what can happen to its file."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from services.contracts.base import CallId
from services.core.errors import LedgerAway
from services.core.ledger.calls import Failure
from services.core.ledger.ports import Done, Mine
from services.ledger import LedgerUnusable, open_ledger
from services.ledger.sqlite import commits, file
from services.ledger.sqlite.commits import SqliteCommits, Work
from services.ledger.sqlite.ledger import open_sqlite

CALL_1 = CallId("call-1")

A, B = "worker-a", "worker-b"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def spoil(path: Path, start: int, data: bytes) -> None:
    """Overwrite a part of the file, or make it."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.seek(start)
        file.write(data)


def move(path: Path, to: Path) -> None:
    assert not to.exists()
    path.rename(to)


async def open_and_close(path: Path) -> None:
    async with open_ledger(f"sqlite://{path}"):
        pass


# --- what the address holds


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    spoil(path, 0, b"not a database at all, " * 400)
    with pytest.raises(LedgerUnusable, match="damaged or not a SQLite file"):
        await open_and_close(path)


async def test_a_file_with_a_broken_first_page_is_refused(path: Path) -> None:
    await open_and_close(path)
    spoil(path, 100, b"\xff" * 3996)
    with pytest.raises(LedgerUnusable, match="damaged"):
        await open_and_close(path)


async def test_a_newer_schema_is_refused_and_left_as_it_is(path: Path) -> None:
    await open_and_close(path)
    run_sql(path, "PRAGMA user_version = 2")
    with pytest.raises(LedgerUnusable, match="schema 2, this version reads 1"):
        await open_and_close(path)
    run_sql(path, "PRAGMA user_version = 1")
    await open_and_close(path)


async def test_another_program_s_database_is_refused(path: Path) -> None:
    run_sql(path, "CREATE TABLE theirs (x)")
    with pytest.raises(LedgerUnusable, match="another program"):
        await open_and_close(path)


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LedgerAway, match="folder"):
        await open_and_close(tmp_path / "no" / "ledger.db")


async def test_many_may_open_a_new_file_at_once(path: Path) -> None:
    """All processes of `up` start together."""
    await asyncio.gather(*(asyncio.to_thread(file.prepare, path) for _ in range(12)))
    await open_and_close(path)


async def test_a_path_with_odd_characters(tmp_path: Path) -> None:
    folder = tmp_path / "50% of ? # it"
    folder.mkdir()
    async with open_sqlite(folder / "x y.db") as ledger:
        await ledger.calls.claim([CALL_1], owner=A, lease_s=5)
    assert [it.name for it in folder.iterdir()] == ["x y.db"]


# --- what happens later


async def test_a_file_that_another_holds_too_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LedgerAway for all that wait; once it is free the same ledger continues."""
    monkeypatch.setattr(file, "BUSY_S", 0.05)
    async with open_sqlite(path) as ledger:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            asked = (ledger.calls.claim([CallId(f"call-{n}")], owner=A, lease_s=5) for n in range(5))
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(answer) for answer in answers} == {LedgerAway}
            assert "another process held the lock" in str(answers[0])
            assert await ledger.books.claims() == []
            other.execute("ROLLBACK")
        assert await ledger.calls.claim([CallId("call-0")], owner=B, lease_s=5) == [Mine(5)]


async def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is half written: what didn't fit is as if never asked, and it works again once there is room."""
    pages = 40

    def connect_to_small_disk(path: Path) -> sqlite3.Connection:
        db = file.connect_without_waiting(path)
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    monkeypatch.setattr(commits, "connect_without_waiting", connect_to_small_disk)
    large = Failure("x" * 500_000)
    async with open_sqlite(path) as ledger:
        await ledger.calls.claim([CALL_1], owner=A, lease_s=60)
        with pytest.raises(LedgerAway, match="full: free some"):
            await ledger.calls.complete({CallId("call-2"): Failure("small"), CALL_1: large}, owner=A)
        assert await ledger.books.calls() == []
        pages = 4_000
        assert await ledger.calls.complete({CALL_1: large}, owner=A) == [large]
        assert [row.ended for row in await ledger.books.claims()] == ["completed"]


async def test_a_deleted_file_is_not_created_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty ledger would pay for every call again: it stays away until someone acts."""
    monkeypatch.setattr(file, "BUSY_S", 0.0)
    async with open_sqlite(path) as ledger:
        move(path, path.with_suffix(".moved"))
        for _ in range(2):
            with pytest.raises(LedgerAway):
                await ledger.books.calls()
        move(path.with_suffix(".moved"), path)
        assert await ledger.books.calls() == []


# --- batches


def time_of(db: sqlite3.Connection, now: float) -> float:
    return now


def ticking() -> Callable[[], float]:
    ticks = iter(range(1_000))
    return lambda: next(ticks)


async def test_queued_requests_share_one_transaction(path: Path) -> None:
    """A transaction has one time: 30 works that waited for one share it."""
    file.prepare(path)
    async with SqliteCommits.open(path, ticking()) as commits:
        times = await asyncio.gather(*(commits.run(time_of) for _ in range(30)))
    assert set(times) == {0}


async def test_a_mistake_in_one_work_undoes_that_work_alone(path: Path) -> None:
    """The others of its batch are done; it is raised as what it is."""
    file.prepare(path)

    def write(name: str) -> Work[None]:
        def work(db: sqlite3.Connection, now: float) -> None:
            db.execute("INSERT INTO circuit VALUES (?, 'why')", (name,))

        return work

    def wrong(db: sqlite3.Connection, now: float) -> None:
        db.execute("INSERT INTO circuit VALUES ('half', 'done')")
        raise KeyError("a mistake")

    def misspelt(db: sqlite3.Connection, now: float) -> None:
        db.execute("SELEKT 1")

    def names(db: sqlite3.Connection, now: float) -> list[tuple[str]]:
        return db.execute("SELECT service FROM circuit ORDER BY 1").fetchall()

    async with SqliteCommits.open(path, ticking()) as commits:
        works = (commits.run(work) for work in (write("one"), wrong, misspelt, write("two"), names))
        one, mistake, spelling, two, found = await asyncio.gather(*works, return_exceptions=True)
    assert (one, two, found) == (None, None, [("one",), ("two",)])
    assert isinstance(mistake, KeyError)
    assert isinstance(spelling, sqlite3.OperationalError)


async def test_a_busy_loop_does_not_run_while_the_file_is_held(path: Path) -> None:
    """Other processes wait for the transaction, never for this process's loop."""
    turns, turned = 0, []

    def many_selects(db: sqlite3.Connection, now: float) -> None:
        before = turns
        for number in range(50):
            db.execute("SELECT * FROM call WHERE call_id = ?", (str(number),)).fetchone()
        turned.append(turns - before)

    async def saturate() -> None:
        nonlocal turns
        while True:
            turns += 1
            sum(range(20_000))
            await asyncio.sleep(0)

    file.prepare(path)
    async with SqliteCommits.open(path, ticking()) as commits:
        busy = asyncio.create_task(saturate())
        for _ in range(5):
            await commits.run(many_selects)
        busy.cancel()
    assert turned == [0] * 5  # in a thread of its own the loop took turns, for a second


async def test_a_long_log_is_folded_into_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays about as long as its bound, however much is written; what was written is all there."""
    monkeypatch.setattr(commits, "_LONG_LOG", 200_000)
    lengths = []
    async with open_sqlite(path) as ledger:
        for number in range(60):
            await ledger.calls.complete({CallId(f"call-{number}"): Failure("x" * 20_000)}, owner=A)
            lengths.append(path.with_name("ledger.db-wal").stat().st_size)
        assert len(await ledger.books.calls()) == 60
    assert max(lengths) < 400_000


async def test_a_closed_ledger_says_so(path: Path) -> None:
    async with open_sqlite(path) as ledger:
        await ledger.calls.complete({CALL_1: Failure("x")}, owner=A)
    with pytest.raises(RuntimeError, match="closed"):
        await ledger.calls.claim([CALL_1], owner=A, lease_s=1)
    async with open_sqlite(path) as ledger:
        assert await ledger.calls.claim([CALL_1], owner=A, lease_s=1) == [Done(Failure("x"))]

"""Topics and records as tables: of a work the last that was seen, a call once, every column with its meaning."""

from datetime import datetime
from pathlib import Path

import pytest

from services.contracts.case import Case
from services.contracts.topics import CASE_ACCEPTED, CASE_REJECTED, PATHS_VERIFIED, RECIPES, RECORD_COMPLETED
from services.core.messages import ConsumedRecord
from services.exporter.layout import PATHS, RECORDS
from services.exporter.partition import Partition
from services.exporter.schema import SCHEMA
from services.exporter.table import Table
from services.protogen.examples import RECIPE
from services.taps import analyses
from services.taps import database as module
from services.taps.database import BadQuery, add_paths, add_records, database, query
from services.taps.tables import COST, TABLES
from tests.examples import CASE, RECORD
from tests.strategies import case, correct, failed, path, recipe, wrong
from tests.unit.taps.streams import Said, ask, call, message, of, tables, with_paths

WHOLE: list[Said] = [of(RECIPE), (PATHS_VERIFIED, CASE), (CASE_ACCEPTED, CASE), (RECORD_COMPLETED, RECORD)]


def test_the_golden_case_in_rows() -> None:
    (row,) = ask(WHOLE, "FROM cases")
    expected = {
        "ended": "accepted",
        "difficulty": "medium",
        "rounds": 1,
        "subject": "endocrinology",
        "source_question_id": "example:1",
        "answer": "B",
        "gold_disputed": False,
        "written_at": datetime(2026, 1, 1, 0, 0, 0, 2_000),
    }
    assert {name: row[name] for name in expected} == expected
    assert row["options"][1] == {"letter": "B", "text": "Antibodies that stimulate the TSH receptor"}


def test_every_column_of_a_row_is_there() -> None:
    (row,) = ask(WHOLE, "SELECT context, written_at FROM cases")
    assert row["context"] == list(CASE.question.context)
    assert ask(WHOLE, "SELECT DISTINCT written_at FROM paths") == [{"written_at": row["written_at"]}]
    (first,) = ask(WHOLE, "SELECT min(written_at) AS first FROM calls WHERE stage = 'generate'")
    assert first["first"] < row["written_at"]


def test_the_model_of_a_record_joins_the_models() -> None:
    with tables(WHOLE) as db:
        db.execute("CREATE TABLE records AS SELECT $model AS model", {"model": RECORD.model})
        assert list(query(db, "SELECT alias FROM records JOIN models ON model = served").rows) == [(RECORD.alias,)]


def test_the_golden_paths_in_rows() -> None:
    rows = ask(
        WHOLE, "SELECT origin, slot, standing, verdict_by, judged, stated, gold, score, kept FROM paths ORDER BY ALL"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("generated", 0, "correct", "judge", "correct", "B", "B", 3, False),
        ("generated", 1, "correct", "judge", "correct", "B", "B", 2, True),
        ("generated", 2, "error", "stated_answer", "error", "A", "B", None, False),
        ("refined", 0, "correct", "judge", "correct", "B", "B", 5, True),
        ("refined", 1, "correct", "judge", "correct", "B", "B", 1, False),
    ]


def test_the_records_of_a_case_cost_what_its_calls_do() -> None:
    """The golden record is the first of two: half of the case's calls, and its own summary."""
    (row,) = ask(WHOLE, "SELECT sum(cost_usd / if(stage = 'summarize', 1, 2)) AS share, count(*) AS calls FROM calls")
    assert row["share"] == pytest.approx(sum(RECORD.cost.values()))
    assert row["calls"] == 3 * 2 + 2 * 2 + 4 + 1, "written and judged; rewritten and judged; scored; summarised"


def test_a_call_of_a_recipe_that_is_not_there_has_no_cost_rather_than_none() -> None:
    assert ask(WHOLE[1:], "SELECT DISTINCT cost_usd FROM calls") == [{"cost_usd": None}]


def test_repeats_change_nothing() -> None:
    counts = "SELECT (SELECT count(*) FROM cases), (SELECT count(*) FROM paths), (SELECT count(*) FROM calls), " \
        "(SELECT count(*) FROM models)"  # fmt: skip
    assert ask([*WHOLE, *WHOLE], counts) == ask(WHOLE, counts)


NEW = case()
FIRST = with_paths(NEW, correct(path(NEW, 0)))
REFINED = with_paths(NEW, correct(path(NEW, 0)), correct(path(NEW, 0, origin="refined", round=1)), rounds=1)
REJECTED = FIRST.with_(rounds=2, rejected="why")


@pytest.mark.parametrize(
    ("said", "last"),
    [
        ([(PATHS_VERIFIED, FIRST), (PATHS_VERIFIED, REFINED)], (0, 1, None)),
        ([(PATHS_VERIFIED, REFINED), (PATHS_VERIFIED, FIRST)], (0, 1, None)),
        ([(CASE_ACCEPTED, REFINED), (PATHS_VERIFIED, REFINED)], (0, 1, "accepted")),
        ([(CASE_REJECTED, REJECTED), (PATHS_VERIFIED, FIRST.with_(life=1))], (1, 0, None)),
    ],
    ids=["in order", "partitions in another order", "its end", "a new life"],
)
def test_a_work_is_the_last_of_its_states_in_whatever_order_they_come(
    said: list[Said], last: tuple[int, int, str | None]
) -> None:
    (row,) = ask(said, "SELECT life, rounds, ended FROM cases")
    assert tuple(row.values()) == last
    (held,) = ask(said, "SELECT count(*) AS paths, max(round) AS round FROM paths")
    assert held == {"paths": 1 + last[1], "round": last[1]}, "the paths are that state's"


def test_calls_of_earlier_lives_are_kept() -> None:
    dead = with_paths(NEW, failed(path(NEW, 0)).with_(calls=(call(1, "generate"),)))
    alive = with_paths(NEW, correct(path(NEW, 0)).with_(calls=(call(2, "generate"),)), life=1)
    (row,) = ask(
        [of(recipe()), (PATHS_VERIFIED, dead), (PATHS_VERIFIED, alive)], "SELECT sum(cost_usd) AS usd FROM calls"
    )
    assert row["usd"] == pytest.approx(0.4 + 0.4)


def test_the_same_question_under_two_recipes_is_two_works() -> None:
    other = case(of=recipe(name="other"))
    said: list[Said] = [(PATHS_VERIFIED, FIRST), (PATHS_VERIFIED, with_paths(other, wrong(path(other, 0))))]
    assert ask(said, "SELECT count(*) AS works, count(DISTINCT case_id) AS questions FROM cases") == [
        {"works": 2, "questions": 1}
    ]


def test_unreadable_messages_are_skipped() -> None:
    broken = [ConsumedRecord(topic, 0, 9, None, b"?", {}) for topic in (RECIPES, PATHS_VERIFIED, RECORD_COMPLETED)]
    current = ConsumedRecord(RECIPES, 0, 1, b"current", b'"recipe-1"', {})
    assert len(ask([*broken, current, *WHOLE], "FROM cases")) == 1


def test_batches_come_to_the_same_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = "SELECT * FROM paths ORDER BY path_id"
    at_once = ask(WHOLE, everything)
    monkeypatch.setattr(module, "BATCH_BYTES", 1)
    assert ask(WHOLE, everything) == at_once


def test_an_empty_stream_has_tables_without_rows() -> None:
    for name in TABLES:
        assert ask([], f"FROM {name}") == []


def test_every_column_says_what_it_means() -> None:
    documented = ask(WHOLE, "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal")
    expected = {(name, column): text for name, columns in TABLES.items() for column, _, text in columns}
    expected["calls", COST[0]] = COST[2]
    tables_ = {(row["table_name"], row["column_name"]): row["comment"] for row in documented}
    assert {key: text for key, text in tables_.items() if key[0] in TABLES} == expected


def test_nothing_is_left_over_but_the_tables() -> None:
    assert {row["name"] for row in ask(WHOLE, "SELECT name FROM (SHOW TABLES)")} == set(TABLES)


def test_records_are_those_of_the_table_now(tmp_path: Path) -> None:
    partition = Partition.open(Table.open(str(tmp_path), RECORDS), RECORD_COMPLETED, 0)
    partition.accept(message(RECORD_COMPLETED, RECORD), 0)
    partition.seal()
    with database() as db:
        add_records(db, tmp_path)
        assert list(query(db, "SELECT record_id, difficulty FROM records").rows) == [(RECORD.record_id, "medium")]
        comments = dict(
            query(db, "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'records'").rows
        )
    assert comments == {field.name: field.metadata[b"description"].decode() for field in SCHEMA}


def test_a_dataset_with_no_records_yet_has_the_view_without_rows(tmp_path: Path) -> None:
    with database() as db:
        add_records(db, tmp_path)
        assert list(query(db, "SELECT record_id, cost.generate FROM records").rows) == []


def stored_paths(folder: Path, *cases: Case) -> Path:
    """A dataset whose table of paths has these accepted cases."""
    partition = Partition.open(Table.open(PATHS.uri(str(folder)), PATHS), CASE_ACCEPTED, 0)
    for offset, each in enumerate(cases):
        partition.accept(message(CASE_ACCEPTED, each, offset=offset), 0)
    partition.seal()
    return folder


def test_paths_are_those_of_the_table(tmp_path: Path) -> None:
    with database() as db:
        add_paths(db, stored_paths(tmp_path, CASE))
        rows = query(db, "SELECT count(*), count(DISTINCT question), min(written_at) FROM paths").rows
        assert list(rows) == [(len(CASE.paths), 1, datetime(2026, 1, 1))]
        documented = query(db, "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'paths'").rows
        assert dict(documented) == {field.name: field.metadata[b"description"].decode() for field in PATHS.schema}


def test_paths_of_table_and_topics_are_one_view_and_each_path_is_in_it_once(tmp_path: Path) -> None:
    other = case(of=recipe(name="other"))
    said: list[Said] = [*WHOLE, (PATHS_VERIFIED, with_paths(other, wrong(path(other, 0))))]
    with tables(said) as db:
        add_paths(db, stored_paths(tmp_path, CASE, FIRST))
        ids = [each.path_id for each in (*CASE.paths, *FIRST.paths)]
        found = list(query(db, "SELECT path_id, ended FROM paths").rows)
        assert sorted(found) == sorted([*((name, "accepted") for name in ids), (path(other, 0).path_id, None)])
        assert list(query(db, analyses.sql("agreement")).rows)[-1][:2] == ("all", len(ids))


def test_without_a_table_of_paths_the_topics_say_what_there_is(tmp_path: Path) -> None:
    with tables(WHOLE) as db:
        add_paths(db, tmp_path)
        assert list(query(db, "SELECT count(*) FROM paths").rows) == [(len(CASE.paths),)]
    with database() as db:
        add_paths(db, tmp_path)
        with pytest.raises(BadQuery, match="paths"):
            query(db, "FROM paths")


@pytest.mark.parametrize("sql", ["SELEC 1", "FROM nowhere", "SELECT 'x'::INT"])
def test_errors_of_duckdb_are_bad_queries(sql: str) -> None:
    with database() as db, pytest.raises(BadQuery):
        list(query(db, sql).rows)


def test_more_than_fits_into_memory_spills(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorted whole, 40 MB of text under a limit of 20 MB: done, and only because files may be used."""
    monkeypatch.setattr(module, "MEMORY", "20MB")
    texts = "SELECT md5(range::VARCHAR) AS text FROM range(600_000)"
    sql = f"SELECT count(*), max(place) FROM (SELECT row_number() OVER (ORDER BY text) AS place FROM ({texts}))"
    with database() as db:
        query(db, "SET threads = 1")  # each thread needs memory of its own
        assert list(query(db, sql).rows) == [(600_000, 600_000)]
        query(db, "SET max_temp_directory_size = '0KiB'")
        with pytest.raises(BadQuery, match=r"(?i)memory"):
            list(query(db, sql).rows)


def test_a_database_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with tables(WHOLE):
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []

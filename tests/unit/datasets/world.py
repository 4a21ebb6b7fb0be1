"""Folders of parts, written by the exporter's own partitions."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from services.contracts.case import Case, Score, StepError, Steps, Verdict
from services.contracts.codec import encode
from services.contracts.record import FaultyPath, Record
from services.contracts.topics import CASE_ACCEPTED
from services.core.case.steps import step_ends
from services.core.messages import ConsumedRecord
from services.datasets.records import Filters
from services.datasets.splits import Splits
from services.datasets.summary import Request
from services.exporter.layout import PATHS, RECORDS
from services.exporter.partition import Partition
from services.exporter.table import Table
from tests.strategies import correct, failed, path, wrong
from tests.unit.exporter.world import TOPIC, message, record

DIFFICULTIES = ("easy", "medium", "difficult")
SOURCES = ("medqa", "medmcqa", None)


def records(count: int) -> list[Record]:
    """So many questions, a record each; of every difficulty, source and score, a tenth of them disputed."""
    return [varied(number) for number in range(count)]


def of_steps(made: Record) -> Record:
    """The record as a recipe with `verdict: steps` makes it: its own steps, and a path whose second step is wrong."""
    error = StepError(step=2, kind="wrong_inference", severity="serious", reason="It is B.")
    text = "The other.\nFinal answer: A"
    faulty = FaultyPath(
        path_id="path-" + "f" * 32,
        origin="generated",
        alias="other",
        model="other@2",
        temperature=1.0,
        text=text,
        reason="Wrong.",
        steps=Steps(ends=step_ends(text), errors=(error,)),
    )
    verdict = made.verdict.with_(steps=Steps(ends=step_ends(made.chain)))
    return made.with_(verdict=verdict, in_error=(faulty,))


def varied(number: int) -> Record:
    made = of_steps(record(number))
    return made.with_(
        question=made.question.with_(source=SOURCES[number % 3]),
        difficulty=DIFFICULTIES[number // 3 % 3],
        score=Score(value=None if number % 7 == 6 else number % 6, justification="good"),
        gold_disputed=number % 10 == 0,
    )


def write_parts(folder: Path, dealt: Iterable[Iterable[Record]], *, rows: int = 10) -> Path:
    """A dataset with a partition for each list of records, in commits of so many rows."""
    table = Table.open(str(folder), RECORDS)
    for partition, of_it in enumerate(dealt):
        opened = Partition.open(table, TOPIC, partition)
        for offset, one in enumerate(of_it):
            opened.accept(message(offset, one, partition), 0.0)
            if offset % rows == rows - 1:
                opened.seal()
        opened.seal()
    return folder


def judged(number: int) -> Case:
    """The case of `varied(number)`: two right paths and two wrong ones, one cut off, one whose call failed."""
    made = varied(number)
    new = Case(
        case_id=made.case_id, work_id=made.work_id, recipe_id=made.recipe_id, question=made.question, difficulty="easy"
    )
    texts = ["Sound.\nFinal answer: B", "So B.", "No.\nFinal answer: A", "Unclear.", "Cut", "Lost"]
    one, two, three, four, five, six = (path(new, slot, text=text) for slot, text in enumerate(texts))
    cut = Verdict(outcome="error", reason="cut off", by="cut_off")
    paths = (
        correct(one, score=4, stated="B"),
        correct(two, score=None, stated=None),
        wrong(three, stated="A"),
        wrong(four),
        five.with_(verdict=cut, finish_reason="length"),
        failed(six),
    )
    return new.with_(paths=paths, kept=(one.path_id,), gold_disputed=made.gold_disputed)


def write_paths(folder: Path, cases: Iterable[Case]) -> Path:
    """A table of the paths of accepted cases."""
    opened = Partition.open(Table.open(PATHS.uri(str(folder)), PATHS), CASE_ACCEPTED, 0)
    for offset, case in enumerate(cases):
        opened.accept(ConsumedRecord(CASE_ACCEPTED, 0, offset, case.case_id.encode(), encode(case), {}), 0.0)
    opened.seal()
    return folder


def request(**changes: Any) -> Request:
    fields: dict[str, Any] = {
        "variant": "ReasonMed",
        "form": "messages",
        "system": None,
        "splits": Splits.parse("train=0.8,test=0.2", "0"),
        "filters": Filters(),
        "lineage": True,
        "licences": {},
        "recipe_names": {},
        "language": "en",
        "held_out": None,
    }
    return Request(**fields | changes)


def rows_of(out: Path, split: str) -> list[dict[str, Any]]:
    """The rows of a split's Parquet shards, in order. The JSON lines hold the same, but for untyped columns."""
    tables = [pq.read_table(shard) for shard in sorted((out / "data" / split).glob("*.parquet"))]
    rows: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist()
    lines = [line for path in sorted((out / "jsonl" / split).iterdir()) for line in path.read_bytes().splitlines()]
    assert in_json(rows) == [orjson.loads(line) for line in lines]
    return rows


def in_json(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as JSON lines have them."""
    left_out = {"source", "source_question_id", "subject", "parents", "score", "errors", "stated", "rejected_stated"}
    return [{name: value for name, value in row.items() if name not in left_out} for row in rows]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file's bytes, by its path in the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

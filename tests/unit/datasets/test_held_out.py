"""Questions of an evaluation index are left out, counted, and named on the card."""

import json
from pathlib import Path

from services.contracts.question import Question
from services.core import ids
from services.core.dedupe.evaluation_index import Entry, build
from services.datasets.export import export
from services.datasets.questions import HeldOut
from services.datasets.splits import Splits
from tests.unit.datasets.world import records, request, rows_of, write_parts
from tests.unit.exporter.world import record

ALL = Splits.parse("train=1", "0")


def held_out(*questions: Question) -> HeldOut:
    entries = [(Entry.of("exam.jsonl", question, at), question) for at, question in enumerate(questions)]
    return HeldOut("evaluation.index", "ab" * 32, build(entries))


def test_they_are_left_out_and_counted(tmp_path: Path) -> None:
    made = records(20)
    write_parts(tmp_path / "parts", [made])
    asked = request(splits=ALL, held_out=held_out(made[3].question, made[7].question))
    summary = export(asked, tmp_path / "parts", tmp_path / "out")
    kept = {row["case_id"] for row in rows_of(tmp_path / "out", "train")}
    assert kept == {one.case_id for one in made} - {made[3].case_id, made[7].case_id}
    assert summary.records == 18
    left = json.loads((tmp_path / "out/export.json").read_text())["held_out"]
    assert left == {
        "index": "evaluation.index",
        "sha256": "ab" * 32,
        "records": 2,
        "questions": 2,
        "files": {"exam.jsonl": 2},
    }
    card = (tmp_path / "out/README.md").read_text()
    assert "2 questions (2 records) are left out" in card
    assert "| exam.jsonl | 2 |" in card


def test_a_stem_with_shuffled_options_is_in_the_same_split(tmp_path: Path) -> None:
    """The two have different case ids."""
    made = []
    for number in range(40):
        one = record(number)
        turned = one.question.with_(options={"A": "that", "B": "this"}, answer="A")
        case_id = ids.case_id(turned)
        other = one.with_(
            question=turned, case_id=case_id, work_id=f"work-{number:032x}", record_id=f"record-{number:032x}"
        )
        made += [one, other]
    write_parts(tmp_path / "parts", [made])
    export(request(splits=Splits.parse("train=0.5,test=0.5", "0")), tmp_path / "parts", tmp_path / "out")
    stems = [{row["source_question_id"] for row in rows_of(tmp_path / "out", split)} for split in ("train", "test")]
    assert all(stems)
    assert not stems[0] & stems[1]

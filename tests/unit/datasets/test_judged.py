"""Pairs, labelled paths and verdicts to learn, from the table of paths."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.case import Case
from services.core.case.answers import stated
from services.datasets.export import export
from services.datasets.names import OF_PATHS, Form
from services.datasets.records import Filters, NothingToExport
from services.datasets.splits import Splits
from services.exporter.path_schema import PATH_SCHEMA
from tests.strategies import correct, path, wrong
from tests.unit.datasets.test_forms import PROMPT, USER
from tests.unit.datasets.world import judged, records, request, rows_of, write_parts, write_paths

ALL = Splits.parse("train=1", "0")


def exported(tmp_path: Path, form: Form, *cases: Case, **asked: Any) -> list[dict[str, Any]]:
    write_paths(tmp_path / "parts", cases)
    export(request(form=form, variant=None, splits=ALL, **asked), tmp_path / "parts", tmp_path / "out")
    return rows_of(tmp_path / "out", "train")


def said(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


def test_a_pair_is_the_best_right_path_with_a_wrong_one_of_the_same_question(tmp_path: Path) -> None:
    case = judged(1)
    rows = exported(tmp_path, "dpo", case)
    first, second = sorted(rows, key=lambda row: row["score"] is None)
    assert first["prompt"] == [USER]
    assert first["chosen"] == [first["chosen_message"]] == [said("Sound.\n\nFinal answer: B")]
    assert first["rejected"] == [first["rejected_message"]] == [said("No.\n\nFinal answer: A")]
    assert (second["chosen_message"], second["rejected_message"]) == (
        said("So B.\n\nFinal answer: B"),
        said("Unclear."),
    )
    assert (first["path_id"], first["rejected_path_id"]) == (case.paths[0].path_id, case.paths[2].path_id)
    assert (first["score"], first["rejected_reason"], first["case_id"]) == (4, "Wrong in slot 2.", case.case_id)


def test_labels_are_of_every_path_that_was_judged(tmp_path: Path) -> None:
    """Not of one that was cut off, or whose call failed."""
    rows = exported(tmp_path, "kto", judged(1))
    assert {(row["completion"][0]["content"], row["label"]) for row in rows} == {
        ("Sound.\n\nFinal answer: B", True),
        ("So B.\n\nFinal answer: B", True),
        ("No.\n\nFinal answer: A", False),
        ("Unclear.", False),
    }
    assert all(row["conversation"] == [*row["prompt"], *row["completion"]] for row in rows)


def test_a_verifier_learns_reason_and_verdict_and_is_not_told_the_gold_answer(tmp_path: Path) -> None:
    rows = exported(tmp_path, "verifier", judged(1))
    by_text = {row["standing"]: row for row in rows if "Final answer" in row["prompt"][0]["content"]}
    asked = by_text["error"]["prompt"][0]["content"]
    assert asked.startswith(f"{PROMPT}\n\nA proposed answer:\nNo.\n\nFinal answer: A\n\nCheck it")
    assert by_text["error"]["completion"] == [said("Wrong in slot 2.\n\nVerdict: error")]
    assert by_text["correct"]["completion"] == [said("Sound.\n\nVerdict: correct")]


@pytest.mark.parametrize("form", OF_PATHS)
def test_without_a_table_of_paths_it_says_how_to_get_one(form: Form, tmp_path: Path) -> None:
    write_parts(tmp_path / "parts", [records(3)])
    with pytest.raises(NothingToExport, match=r"no judged paths.*REASONMED_EXPORT__PATHS"):
        export(request(form=form, variant=None), tmp_path / "parts", tmp_path / "out")


def test_questions_without_a_wrong_path_make_no_pair(tmp_path: Path) -> None:
    case = judged(1)
    with pytest.raises(NothingToExport, match="both a right and a wrong path"):
        exported(tmp_path, "dpo", case.with_(paths=case.paths[:2]))


def test_a_lowest_score_is_asked_of_right_paths_only(tmp_path: Path) -> None:
    (row,) = exported(tmp_path, "dpo", judged(1), filters=Filters(min_score=4))
    assert (row["score"], row["rejected_stated"]) == (4, "A")


def test_repeats_count_once(tmp_path: Path) -> None:
    case = judged(1)
    for _ in range(2):
        write_paths(tmp_path / "other", [case])
    write_paths(tmp_path / "parts", [case])
    again = case.with_(work_id="work-" + "e" * 32)  # its paths have the ids of the first
    assert len(exported(tmp_path, "kto", case, again)) == 4


@settings(max_examples=10, deadline=None)
@given(counts=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6))
def test_each_path_is_in_one_pair_at_most_and_no_pair_is_missing(
    counts: Sequence[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    cases = [with_paths(number, *both) for number, both in enumerate(counts, start=1)]
    expected = sum(min(both) for both in counts)
    tmp_path = tmp_path_factory.mktemp("pairs")
    if not expected:
        with pytest.raises(NothingToExport):
            exported(tmp_path, "dpo", *cases)
        return
    rows = exported(tmp_path, "dpo", *cases)
    used = [name for row in rows for name in (row["path_id"], row["rejected_path_id"])]
    assert len(rows) == expected
    assert len(used) == len(set(used))
    of = {made.path_id: case.case_id for case in cases for made in case.paths}
    assert all(of[row["path_id"]] == of[row["rejected_path_id"]] == row["case_id"] for row in rows)


def with_paths(number: int, right: int, false: int) -> Case:
    case = judged(number)
    made = [correct(path(case, slot), stated="B") for slot in range(right)]
    made += [wrong(path(case, slot), stated="A") for slot in range(right, right + false)]
    return case.with_(paths=tuple(made), kept=())


@pytest.mark.parametrize("form", OF_PATHS)
def test_the_card_and_the_counts_say_what_it_is_made_of(form: Form, tmp_path: Path) -> None:
    write_paths(tmp_path / "parts", map(judged, range(20)))
    summary = export(request(form=form, variant=None), tmp_path / "parts", tmp_path / "out")
    rows = 40 if form == "dpo" else 80
    assert (summary.records, sum(split.rows for split in summary.splits.values())) == (rows, rows)
    assert summary.watermark == {"case-accepted/0": 20}
    card = (tmp_path / "out/README.md").read_text()
    assert f"{rows} {'pairs' if form == 'dpo' else 'paths'} of medical" in card
    assert yaml.safe_load(card.split("---\n")[1])["pretty_name"] == f"ReasonMed {form}"
    assert "Not counted by path" in card
    assert orjson.loads((tmp_path / "out/export.json").read_bytes())["form"] == form


def test_llama_factory_is_told_which_columns_are_a_pair_and_a_label(tmp_path: Path) -> None:
    info: dict[str, Any] = {}
    for form in OF_PATHS:
        write_paths(tmp_path / form, map(judged, range(20)))
        export(request(form=form, variant=None), tmp_path / form, tmp_path / f"{form}-out")
        file = tmp_path / f"{form}-out/dataset_info.json"
        info[form] = orjson.loads(file.read_bytes())["train"] if file.exists() else None
    assert info["dpo"]["ranking"] is True
    assert info["dpo"]["columns"]["chosen"] == "chosen_message"
    assert info["kto"]["columns"] == {"messages": "conversation", "kto_tag": "label"}
    assert info["verifier"] is None


def test_the_final_line_of_a_right_path_is_gold_and_of_a_wrong_one_what_it_stated(tmp_path: Path) -> None:
    case = judged(1)
    for row in exported(tmp_path, "kto", case):
        letter = stated(row["completion"][0]["content"], case.question)
        assert letter == ("B" if row["label"] else row["stated"])


def test_no_column_of_lineage_is_unknown_to_the_table() -> None:
    from services.datasets import judged as module

    for form in OF_PATHS:
        assert {name.removeprefix("rejected_") for name in module.lineage(form).names} <= set(PATH_SCHEMA.names)

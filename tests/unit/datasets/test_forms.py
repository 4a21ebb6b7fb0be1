"""Each variant in each form holds the question as the models saw it, and the answer."""

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.question import Question
from services.core import ids
from services.core.case.prompts import question_block
from services.datasets.export import export
from services.datasets.forms import LINEAGE
from services.datasets.names import WITH_VARIANT, Form, Variant
from services.datasets.records import NothingToExport
from services.datasets.splits import Splits
from services.exporter.schema import SCHEMA
from tests.strategies import questions
from tests.unit.datasets.world import judged, of_steps, request, rows_of, write_parts, write_paths
from tests.unit.exporter.world import record

ANSWERS: dict[Variant, str] = {
    "CoTMed": "Chain 1.\n\nFinal answer: B",
    "ResponseMed": "Summary 1.\n\nFinal answer: B",
    "ReasonMed": "Chain 1.\n\nSummary 1.\n\nFinal answer: B",
}
PROMPT = "Question 1?\n\nContext:\na passage\n\nA. this\nB. that"
ALL = Splits.parse("train=1", "0")
USER = {"role": "user", "content": PROMPT}
SYSTEM = {"role": "system", "content": "Be exact."}


def row_of(tmp_path: Path, **asked: Any) -> dict[str, Any]:
    write_parts(tmp_path / "parts", [[of_steps(record(1)).with_(in_error=())]])
    write_paths(tmp_path / "parts", [judged(1)])
    export(request(lineage=False, splits=ALL, **asked), tmp_path / "parts", tmp_path / "out")
    return rows_of(tmp_path / "out", "train")[0]


@pytest.mark.parametrize("variant", ANSWERS)
@pytest.mark.parametrize("form", WITH_VARIANT)
def test_a_row_has_prompt_and_answer(variant: Variant, form: Form, tmp_path: Path) -> None:
    answer = ANSWERS[variant]
    assistant = {"role": "assistant", "content": answer}
    rows: dict[Form, dict[str, Any]] = {
        "alpaca": {"instruction": PROMPT, "input": "", "output": answer},
        "sharegpt": {"conversations": [{"from": "human", "value": PROMPT}, {"from": "gpt", "value": answer}]},
        "messages": {"messages": [USER, assistant]},
        "prompt-completion": {"prompt": [USER], "completion": [assistant]},
    }
    assert row_of(tmp_path, variant=variant, form=form) == rows[form]


@pytest.mark.parametrize("form", get_args(Form))
def test_a_system_prompt_comes_first(form: Form, tmp_path: Path) -> None:
    row = row_of(tmp_path, form=form, system="Be exact.")
    if form == "alpaca":
        assert row["system"] == "Be exact."
    elif form == "prm":
        assert row["prompt"] == f"Be exact.\n\n{PROMPT}"
    elif form == "sharegpt":
        assert row["conversations"][0] == {"from": "system", "value": "Be exact."}
    else:
        first, second = (row.get("prompt") or row["messages"])[:2]
        assert (first, second["role"], PROMPT in second["content"]) == (SYSTEM, "user", True)


def test_thinking_is_the_chain(tmp_path: Path) -> None:
    answer = "<think>\nChain 1.\n</think>\n\nSummary 1.\n\nFinal answer: B"
    assert row_of(tmp_path, form="think", variant=None) == {
        "messages": [USER, {"role": "assistant", "content": answer}]
    }


def test_step_labels_are_of_the_kept_chain_and_of_each_path_in_error(tmp_path: Path) -> None:
    write_parts(tmp_path / "parts", [[of_steps(record(1)), record(2)]])
    summary = export(request(form="prm", variant=None, splits=ALL), tmp_path / "parts", tmp_path / "out")
    kept, wrong = rows_of(tmp_path / "out", "train")
    assert (summary.records, summary.splits["train"].rows) == (1, 2)
    assert kept["prompt"] == wrong["prompt"] == PROMPT
    assert (kept["completions"], kept["labels"]) == (["Chain 1.", "Final answer: B"], [True, True])
    assert (wrong["completions"], wrong["labels"]) == (["The other.", "Final answer: A"], [True, False])
    assert (kept["model"], kept["errors"], wrong["model"], wrong["temperature"]) == ("small@1", [], "other@2", 1.0)
    assert [error["kind"] for error in wrong["errors"]] == ["wrong_inference"]
    assert kept["case_id"] == wrong["case_id"] == record(1).case_id


def test_records_without_steps_make_no_step_labels(tmp_path: Path) -> None:
    write_parts(tmp_path / "parts", [[record(1)]])
    with pytest.raises(NothingToExport, match="verdict: steps"):
        export(request(form="prm", variant=None), tmp_path / "parts", tmp_path / "out")


def test_reinforcement_learning_has_a_row_a_question(tmp_path: Path) -> None:
    one = record(1)
    again = one.with_(record_id="record-" + "e" * 32, path_id="path-" + "e" * 32, chain="Another.")
    write_parts(tmp_path / "parts", [[one, again, record(2)]])
    summary = export(request(form="rl", variant=None, splits=ALL), tmp_path / "parts", tmp_path / "out")
    first, second = sorted(rows_of(tmp_path / "out", "train"), key=lambda row: row["prompt"][0]["content"])
    assert (summary.records, summary.splits["train"].rows) == (3, 2)
    assert first == {
        "data_source": "unit",
        "prompt": [USER],
        "ability": "medicine",
        "reward_model": {"style": "rule", "ground_truth": "B"},
        "extra_info": {"split": "train", "index": one.case_id},
        "case_id": one.case_id,
        "source": "unit",
        "source_question_id": "1",
        "subject": None,
    }
    assert second["extra_info"]["index"] == record(2).case_id


def test_lineage_is_the_record_s_own(tmp_path: Path) -> None:
    one = record(1, parents=(record(2).path_id,))
    write_parts(tmp_path / "parts", [[one]])
    export(request(form="alpaca", splits=ALL), tmp_path / "parts", tmp_path / "out")
    (row,) = rows_of(tmp_path / "out", "train")
    assert set(row) == {"instruction", "input", "output", *LINEAGE}
    assert (row["record_id"], row["parents"], row["answer"], row["answer_text"], row["cost_usd"]) == (
        one.record_id,
        [record(2).path_id],
        "B",
        "that",
        0.75,
    )


def test_every_column_of_lineage_is_described() -> None:
    assert set(LINEAGE) <= set(SCHEMA.names)


@settings(deadline=None, max_examples=5)
@given(many=st.lists(questions(), min_size=5, max_size=20, unique_by=ids.case_id))
def test_the_prompt_is_the_question_as_the_models_saw_it(
    many: list[Question], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("forms")
    cases = {ids.case_id(question): question for question in many}
    made = [record(at, question=cases[case_id], case_id=case_id) for at, case_id in enumerate(cases)]
    write_parts(folder / "parts", [made])
    export(request(form="alpaca", splits=ALL), folder / "parts", folder / "out")
    prompts = {row["case_id"]: row["instruction"] for row in rows_of(folder / "out", "train")}
    assert {case_id: f"<question>\n{prompt}\n</question>" for case_id, prompt in prompts.items()} == {
        case_id: question_block(question) for case_id, question in cases.items()
    }

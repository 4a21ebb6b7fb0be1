"""Each variant in each form holds the question as the models saw it, and the answer."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.question import Question
from services.core.case import ids
from services.core.case.prompts import question_block
from services.datasets.export import export
from services.datasets.forms import LINEAGE, Form, Variant
from services.datasets.splits import Splits
from services.exporter.schema import SCHEMA
from tests.strategies import questions
from tests.unit.datasets.world import request, rows_of, write_parts
from tests.unit.exporter.world import record

ANSWERS: dict[Variant, str] = {
    "CoTMed": "Chain 1.\nFinal answer: B",
    "ResponseMed": "Summary 1.",
    "ReasonMed": "Chain 1.\nFinal answer: B\n\nSummary 1.",
}
PROMPT = "Question 1?\n\nContext:\na passage\n\nA. this\nB. that"
ALL = Splits.parse("train=1", "0")


@pytest.mark.parametrize("variant", ANSWERS)
@pytest.mark.parametrize("form", ["alpaca", "sharegpt", "messages"])
def test_a_row_is_what_trainers_read(variant: Variant, form: Form, tmp_path: Path) -> None:
    write_parts(tmp_path / "parts", [[record(1)]])
    asked = request(variant=variant, form=form, lineage=False, splits=ALL)
    export(asked, tmp_path / "parts", tmp_path / "out")
    answer = ANSWERS[variant]
    rows = {
        "alpaca": {"instruction": PROMPT, "input": "", "output": answer},
        "sharegpt": {"conversations": [{"from": "human", "value": PROMPT}, {"from": "gpt", "value": answer}]},
        "messages": {"messages": [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": answer}]},
    }
    assert rows_of(tmp_path / "out", "train") == [rows[form]]


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


def test_every_column_of_lineage_is_described_in_the_parts() -> None:
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

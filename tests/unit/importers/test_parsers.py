"""Rows of the real sources become the right questions; what nobody can be sure of is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.question import LETTERS
from services.importers import columns, medmcqa, medqa, mmlu, pubmedqa
from services.importers.rows import Refused
from tests.unit.importers import sources
from tests.unit.importers.sources import OPTIONS, STEM, TEXTS, question, rejected


class TestMedQA:
    @pytest.mark.parametrize("count", [4, 5])
    def test_four_and_five_options(self, count: int) -> None:
        options = dict(zip(LETTERS, [*TEXTS, "Vitamin E"][:count], strict=False))
        made = question(medqa.parse, sources.medqa(options=options))
        assert (made.question, made.options, made.answer, made.source) == (STEM, options, "C", "medqa")

    def test_nothing_else_of_the_row_travels_along(self) -> None:
        assert not question(medqa.parse, sources.medqa()).model_extra

    def test_a_fifth_option_that_parquet_fills_with_null_is_none(self) -> None:
        assert question(medqa.parse, sources.medqa(options={**OPTIONS, "E": None})).options == OPTIONS

    def test_letter_and_text_must_agree(self) -> None:
        assert rejected(medqa.parse, sources.medqa(answer_idx="B")).field == "answer"
        assert rejected(medqa.parse, sources.medqa(answer_idx="E")).field == "answer_idx"
        assert rejected(medqa.parse, sources.medqa(answer_idx=2)).field == "answer_idx"


class TestMedMCQA:
    @pytest.mark.parametrize("form", [0, 1])
    def test_each_form_gives_the_same_questions(self, form: int) -> None:
        rows = [sources.medmcqa(index + form, index) for index in range(4)]
        assert medmcqa.counts_from(rows) == form
        made = [question(medmcqa.counting_from(medmcqa.counts_from(rows)), row) for row in rows]
        assert [one.answer for one in made] == list("ABCD")
        assert (made[2].id, made[2].subject, made[2].source) == ("id-2", "Biochemistry", "medmcqa")
        assert "ascorbic" not in made[2].model_dump_json()  # the explanation stays behind

    @given(st.lists(st.integers(0, 3), min_size=1), st.sampled_from([0, 1]))
    def test_a_file_is_read_right_or_not_at_all(self, indices: list[int], form: int) -> None:
        rows = [sources.medmcqa(index + form) for index in indices]
        try:
            first = medmcqa.counts_from(rows)
        except Refused:
            assert {index + form for index in indices} <= {1, 2, 3}
        else:
            assert first == form

    @pytest.mark.parametrize(
        ("cops", "why"),
        [([0, 1, 4], "two forms"), ([1, 2, 3], "can't be told"), ([-1, -1], "test split"), ([None], "test split"),
         ([], "no row"), ([-1, 2], "can't be told"), ([True, False], "test split")],
    )  # fmt: skip
    def test_what_cannot_be_told_is_refused(self, cops: list[Any], why: str) -> None:
        with pytest.raises(Refused, match=why):
            medmcqa.counts_from([sources.medmcqa(cop) for cop in cops])

    def test_a_row_without_an_answer_is_rejected_in_either_form(self) -> None:
        for first in (0, 1):
            parse = medmcqa.counting_from(0 if first == 0 else 1)
            assert "no answer" in rejected(parse, sources.medmcqa(-1)).why
            assert rejected(parse, sources.medmcqa(None)).field == "cop"
        assert rejected(medmcqa.counting_from(1), sources.medmcqa(0)).field == "cop"
        assert rejected(medmcqa.counting_from(0), sources.medmcqa(4)).field == "cop"
        assert rejected(medmcqa.counting_from(0), sources.medmcqa("c")).field == "cop"

    def test_csv_has_numbers_as_text(self) -> None:
        assert medmcqa.counts_from([sources.medmcqa("4"), sources.medmcqa("1")]) == 1
        assert question(medmcqa.counting_from(1), sources.medmcqa("3")).answer == "C"


class TestMMLU:
    parse = staticmethod(mmlu.of_subject("clinical_knowledge"))

    def test_cells_in_order(self) -> None:
        made = question(self.parse, [STEM, *TEXTS, "C"])
        assert (made.question, made.options, made.answer) == (STEM, OPTIONS, "C")
        assert (made.source, made.subject) == ("mmlu", "clinical_knowledge")

    def test_a_row_of_other_cells_is_rejected(self) -> None:
        assert rejected(self.parse, [STEM, *TEXTS, "2"]).field == "answer"
        assert rejected(self.parse, [STEM, *TEXTS, "AB"]).field == "answer"
        assert rejected(self.parse, [STEM, *TEXTS]).field == "row"
        assert rejected(self.parse, [STEM, *TEXTS[:3], "", "C"]).field == "options.D"

    @pytest.mark.parametrize(
        ("name", "subject"),
        [("anatomy_test.csv", "anatomy"), ("college_medicine_val.csv.gz", "college_medicine"),
         ("medical_genetics_dev.csv", "medical_genetics"), ("questions.csv", None)],
    )  # fmt: skip
    def test_the_files_name_says_the_subject(self, name: str, subject: str | None) -> None:
        assert mmlu.subject(name) == subject


class TestPubMedQA:
    @pytest.mark.parametrize(("decision", "letter"), [("yes", "A"), ("no", "B"), ("maybe", "C")])
    def test_decisions_are_the_options(self, decision: str, letter: str) -> None:
        made = question(pubmedqa.parse, {"123": sources.pubmedqa(decision)})
        assert (made.answer, made.options) == (letter, {"A": "yes", "B": "no", "C": "maybe"})
        assert (made.id, made.source, made.context) == ("123", "pubmedqa", ("Sailors fell ill.", "Some had lemons."))

    def test_the_conclusion_stays_behind(self) -> None:
        assert "Lemons prevent scurvy." not in question(pubmedqa.parse, {"1": sources.pubmedqa()}).model_dump_json()

    @pytest.mark.parametrize("decision", [None, "Yes", "perhaps", ["yes"]])
    def test_another_decision_is_rejected(self, decision: Any) -> None:
        assert rejected(pubmedqa.parse, {"1": sources.pubmedqa(decision)}).field == "final_decision"


class TestColumns:
    def test_names_are_read_and_a_name_of_nothing_is_refused(self) -> None:
        assert columns.columns("question=stem,A=a=b") == {"question": "stem", "A": "a=b"}
        for wrong in ("stem=question", "question", "question=", "", "K=eleventh"):
            with pytest.raises(ValueError, match="NAME=COLUMN"):
                columns.columns(wrong)

    @pytest.mark.parametrize(
        "options",
        [{"options": OPTIONS}, {"options": {**OPTIONS, "E": None}}, {"options": TEXTS},
         {"options": '["Vitamin A","Vitamin B12","Vitamin C","Vitamin D"]'}, {**OPTIONS, "E": ""},
         {**OPTIONS, "E": None}],
    )  # fmt: skip
    def test_options_as_one_column_or_a_column_each(self, options: dict[str, Any]) -> None:
        made = question(columns.named({"question": "stem"}), {"stem": STEM, **options, "answer": " c ", "notes": "x"})
        assert (made.question, made.options, made.answer, made.model_extra) == (STEM, OPTIONS, "C", {})

    def test_the_rest_of_the_contract(self) -> None:
        row = {**OPTIONS, "question": STEM, "answer": "A", "context": "One.", "pk": 7, "subject": "", "source": "ours"}
        made = question(columns.named({"id": "pk"}), row)
        assert (made.context, made.id, made.subject, made.source) == (("One.",), "7", None, "ours")

    @pytest.mark.parametrize("answer", [0, 2, "2", "Vitamin C", None, "", "K", True])
    def test_an_answer_that_is_no_letter_is_rejected(self, answer: Any) -> None:
        assert rejected(columns.named({}), {"question": STEM, **OPTIONS, "answer": answer}).field == "answer"

    def test_an_option_between_that_is_missing_moves_no_letter(self) -> None:
        row = {"question": STEM, "A": "x", "B": "", "C": "z", "answer": "C"}
        assert "without a gap" in rejected(columns.named({}), row).why
        assert "without a gap" in rejected(columns.named({}), {**row, "options": ["x", None, "z"]}).why

    def test_a_table_without_the_columns_says_which_there_are(self) -> None:
        with pytest.raises(Refused, match="no column stem; there are question, label"):
            columns.check({"question": 1, "label": 2}, {"question": "stem"})
        with pytest.raises(Refused, match="no column answer"):
            columns.check({"question": 1, "label": 2}, {})


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NAMES = [*"ABCDE", "question", "options", "answer", "answer_idx", "opa", "opb", "opc", "opd", "cop", "id", "context"]
PARSERS = [
    medqa.parse, medmcqa.counting_from(0), medmcqa.counting_from(1), mmlu.of_subject(None), pubmedqa.parse,
    columns.named({}),
]  # fmt: skip


@given(anything | st.dictionaries(st.sampled_from(NAMES), anything) | st.lists(anything, max_size=7), st.data())
def test_no_row_is_too_strange_to_be_rejected(row: Any, data: st.DataObject) -> None:
    from services.importers.rows import Row, message

    parse = data.draw(st.sampled_from(PARSERS))
    message(Row(1, row), parse)


@given(st.dictionaries(st.text(), anything))
def test_no_entry_of_pubmedqa_is_too_strange(entry: dict[str, Any]) -> None:
    assert rejected(pubmedqa.parse, {"1": {"final_decision": entry.get("final_decision"), **entry}}).why

"""MedMCQA's numbering is the whole file's; MMLU's cells are in order, or no question."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.importers import medmcqa, mmlu_files
from services.importers.rows import Refused
from tests.unit.importers import sources
from tests.unit.importers.sources import OPTIONS, STEM, TEXTS, question, rejected
from tests.unit.importers.test_layouts import BY_NAME, PARSE


class TestMedMCQA:
    @pytest.mark.parametrize("form", [0, 1])
    @pytest.mark.parametrize("kind", [int, float, str, lambda cop: str(float(cop))])
    def test_each_form_gives_the_same_questions(self, form: int, kind: Any) -> None:
        rows = [sources.medmcqa(kind(index + form), index) for index in range(4)]
        layout = medmcqa.counted(BY_NAME["medmcqa"], lambda: iter(rows))
        made = [question(layout.parse, row) for row in rows]
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
        [
            ([0, 1, 4], "two forms"),
            ([1, 2, 3], "may count from 0 or 1"),
            ([-1, -1], "test split"),
            ([None], "test split"),
            ([], "no row"),
            ([-1, 2], "may count from 0 or 1"),
            ([True, False], "test split"),
        ],
    )
    def test_an_unknown_base_is_refused(self, cops: list[Any], why: str) -> None:
        with pytest.raises(Refused, match=why):
            medmcqa.counts_from([sources.medmcqa(cop) for cop in cops])


class TestMMLU:
    @pytest.mark.parametrize(
        ("name", "subject"),
        [("anatomy_test.csv", "anatomy"), ("college_medicine_val.csv.gz", "college_medicine"), ("questions.csv", None)],
    )
    def test_the_files_name_says_the_subject(self, name: str, subject: str | None) -> None:
        made = question(mmlu_files.of_file(BY_NAME["mmlu"], name).parse, [STEM, *TEXTS, "C"])
        assert (made.options, made.answer, made.source, made.subject) == (OPTIONS, "C", "mmlu", subject)

    def test_cells_in_another_order_are_no_question(self) -> None:
        parse = mmlu_files.of_file(BY_NAME["mmlu"], "x").parse
        assert "add a header" in rejected(parse, ["17", STEM, *TEXTS[:3], "A"]).why
        assert rejected(parse, [STEM, *TEXTS, "2"]).field == "answer"
        assert "several" in rejected(parse, [STEM, *TEXTS, "AB"]).why

    def test_the_same_fields_with_another_subject_are_not_taken_for_it(self) -> None:
        row = {"question": STEM, "choices": TEXTS, "answer": 2, "subject": "my exam"}
        assert "base is unknown" in rejected(PARSE, row).why

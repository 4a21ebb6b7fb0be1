"""Each layout reads its example; none recognises more than it parses; no answer is read by a guess."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.question import Question
from services.importers import columns
from services.importers.formats import OURS_LAYOUT
from services.importers.layouts import LAYOUTS
from services.importers.layouts.layout import Layout
from services.importers.layouts.named import Named
from services.importers.reading import AnyLayout, RowParser
from services.importers.rows import Refused, Row, Unfit, message
from tests.unit.importers import sources
from tests.unit.importers.sources import OPTIONS, STEM, TEXTS, question, rejected

BY_NAME = {layout.name: layout for layout in LAYOUTS}
NAMED = Named("jsonl")
PARSE = RowParser(NAMED, [*LAYOUTS, OURS_LAYOUT, NAMED], source=None, answered=True)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_the_example_is_read_by_its_layout_alone(layout: Layout) -> None:
    assert [one.name for one in LAYOUTS if one.recognises(layout.example)] == [layout.name]
    made = Question.model_validate(layout.parse(layout.example))
    assert made.answer == layout.letter
    assert len(layout.tells) > 0


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
FIELDS = sorted({field for layout in LAYOUTS if isinstance(layout.example, dict) for field in layout.example})


@given(st.sampled_from(LAYOUTS), st.data())
def test_recognised_rows_are_parsed_with_any_field_values(layout: Layout, data: st.DataObject) -> None:
    row = layout.example
    if isinstance(row, dict):
        row = {**row, data.draw(st.sampled_from(sorted(row))): data.draw(anything)}
    every: Sequence[AnyLayout] = (*LAYOUTS, OURS_LAYOUT, NAMED)
    for one in every:
        if one.recognises(row):
            assert one.parse(row)


@given(anything | st.dictionaries(st.sampled_from(FIELDS), anything) | st.lists(anything, max_size=7))
def test_no_row_is_too_strange_to_be_rejected(row: Any) -> None:
    message(Row(1, row), PARSE)
    for layout in LAYOUTS:
        message(Row(1, row), layout.parse)
        message(Row(1, row), layout.unanswered)


class TestAnswers:
    @pytest.mark.parametrize(
        "answer",
        [
            "C",
            "c",
            " C ",
            "C.",
            "(C)",
            "C)",
            "[C]",
            "Option C",
            "C. Vitamin C",
            "(c) vitamin c",
            "Vitamin C",
            "vitamin c.",
            ["C"],
            "['C']",
            ["Vitamin C"],
            [0, 0, 1, 0],
            "The answer is C",
        ],
    )
    def test_a_letter_or_a_text_in_many_forms(self, answer: Any) -> None:
        assert question(PARSE, {"question": STEM, "options": TEXTS, "answer": answer}).answer == "C"

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            (2, "base is unknown"),
            ("2", "base is unknown"),
            (2.0, "base is unknown"),
            (None, "no answer"),
            ("", "no answer"),
            (["A", "C"], "several"),
            ("AC", "several"),
            ("A, C", "several"),
            ("A and C", "several"),
            ("['A', 'C']", "several"),
            ([1, 0, 1, 0], "several"),
            ("E", "is not an option"),
            ("Vitamin K", "is not an option"),
            ("C. Vitamin D", "text other than"),
            (True, "is not an option"),
            ({"a": 1}, "a letter or the text"),
        ],
    )
    def test_an_ambiguous_answer_is_rejected(self, answer: Any, why: str) -> None:
        assert why in rejected(PARSE, {"question": STEM, "options": TEXTS, "answer": answer}).why

    def test_a_letter_that_is_also_another_options_text_is_ambiguous(self) -> None:
        assert "set --columns" in rejected(PARSE, {"question": STEM, "options": ["B", "A", "O"], "answer": "A"}).why
        kept = {"question": STEM, "options": {"A": "B", "B": "A", "C": "O"}, "answer": "A"}
        assert question(PARSE, kept).answer == "A"  # the set itself gives the letters

    def test_numbers_that_are_also_option_texts_are_ambiguous(self) -> None:
        row = {"question": "How many?", "options": ["1", "2", "3"], "answer": "2"}
        assert "answer_text or answer_index" in rejected(PARSE, row).why
        assert question(columns.named("", {"answer_text": ""}).parse, row).answer == "B"
        assert question(columns.named("", {"answer_index": "0"}).parse, row).answer == "C"

    @given(st.integers(-2, 6), st.sampled_from(["0", "1"]))
    def test_a_declared_numbering_gives_the_option_or_nothing(self, number: int, first: str) -> None:
        layout = columns.named("", {"answer_index": first})
        row = {"question": STEM, "options": TEXTS, "answer": number}
        place = number - int(first)
        if place in range(4):
            assert question(layout.parse, row).answer == "ABCD"[place]
        else:
            assert rejected(layout.parse, row).field == "answer"

    def test_contradictory_answer_fields_are_rejected(self) -> None:
        for row in (
            sources.medqa(answer_idx="B"),
            sources.medqa(answer_idx=0),
            {**BY_NAME["mmlu-pro"].example, "answer_index": 3},
            {"question": STEM, "options": TEXTS, "answer": "C", "correct_answer": "Vitamin A"},
        ):
            assert "is option C" in rejected(PARSE, row).why
        assert question(PARSE, sources.medqa(answer_idx=2)).answer == "C"  # the text says it, the number agrees


class TestOptions:
    @pytest.mark.parametrize(
        "options",
        [
            OPTIONS,
            {letter.lower(): text for letter, text in OPTIONS.items()},
            {**OPTIONS, "E": None},
            {**OPTIONS, "E": ""},
            dict(reversed(OPTIONS.items())),
            TEXTS,
            [*TEXTS, "", None],
            [f"{k}. {v}" for k, v in OPTIONS.items()],
            [{"key": k, "value": v} for k, v in OPTIONS.items()],
            [{"label": k, "text": v} for k, v in OPTIONS.items()],
            [{k: v} for k, v in OPTIONS.items()],
            {"text": TEXTS, "label": list("ABCD")},
            str(TEXTS),
            str(OPTIONS),
            '["Vitamin A","Vitamin B12","Vitamin C","Vitamin D"]',
            "['Vitamin A' 'Vitamin B12' 'Vitamin C'\n 'Vitamin D']",
            "{'text': array(['Vitamin A', 'Vitamin B12', 'Vitamin C', 'Vitamin D'], dtype=object), "
            "'label': array(['A', 'B', 'C', 'D'], dtype=object)}",
            "A. Vitamin A B. Vitamin B12 C. Vitamin C D. Vitamin D",
            "A Vitamin A\nB Vitamin B12\nC Vitamin C\nD Vitamin D",
            "Vitamin A|Vitamin B12|Vitamin C|Vitamin D",
        ],
    )
    def test_every_shape_gives_the_same_options(self, options: Any) -> None:
        made = question(PARSE, {"question": STEM, "options": options, "answer": "C"})
        assert (made.options, made.answer) == (OPTIONS, "C")

    @pytest.mark.parametrize("name", ["{}", "op{}", "option_{}", "Option {}", "choice{}", "optionText{}"])
    def test_a_column_each_in_letters(self, name: str) -> None:
        row = {name.format(letter): text for letter, text in OPTIONS.items()}
        if name == "optionText{}":
            assert rejected(PARSE, {"question": STEM, **row, "answer": "C"}).field == "options"
        else:
            assert question(PARSE, {"question": STEM, **row, "answer": "C"}).options == OPTIONS

    @pytest.mark.parametrize("first", [0, 1])
    def test_a_column_each_in_numbers_names_the_answer_by_its_column(self, first: int) -> None:
        row = {f"option{number}": text for number, text in enumerate(TEXTS, start=first)}
        assert question(PARSE, {"question": STEM, **row, "answer": f"option{2 + first}"}).answer == "C"
        assert "base is unknown" in rejected(PARSE, {"question": STEM, **row, "answer": 2}).why

    @pytest.mark.parametrize("options", [["x", "", "z"], ["x", None, "z"], {"A": "x", "B": " ", "C": "z"}])
    def test_a_gap_moves_no_letter(self, options: Any) -> None:
        assert rejected(PARSE, {"question": STEM, "options": options, "answer": "C"}).field == "options.B"

    @pytest.mark.parametrize(
        "text", ["__import__('os').getcwd()", "[" * 5_000, "{'A': " + "(" * 500, "['x'" + "," * 40_000]
    )
    def test_a_literal_is_data_and_bounded(self, text: str) -> None:
        assert rejected(PARSE, {"question": STEM, "options": text, "answer": "A"}).field in ("options", "row")


class TestColumns:
    def test_names_are_read_and_a_name_of_nothing_is_refused(self) -> None:
        assert columns.columns("question=stem,A=a=b") == {"question": "stem", "A": "a=b"}
        assert columns.columns("answer=gold, answer_index=1") == {"answer": "gold", "answer_index": "1"}
        assert columns.columns("answer_text") == {"answer_text": ""}
        for wrong in ("stem=question", "question", "question=", "", "K=eleventh"):
            with pytest.raises(ValueError, match="NAME=COLUMN"):
                columns.columns(wrong)
        for wrong in ("answer_index=2", "answer_index", "answer_index=0,answer_text"):
            with pytest.raises(ValueError, match="answer"):
                columns.columns(wrong)

    def test_paths_reach_into_objects(self) -> None:
        given = columns.columns("question=data.q,options=data.o,answer=meta.gold,answer_index=0,id=meta.id")
        row = {"data": {"q": STEM, "o": TEXTS}, "meta": {"gold": 2, "id": 7}}
        made = question(columns.named("", given).parse, row)
        assert (made.question, made.options, made.answer, made.id) == (STEM, OPTIONS, "C", "7")

    def test_the_rest_of_the_contract(self) -> None:
        row = {
            **OPTIONS,
            "question": STEM,
            "answer": "A",
            "context": "One.",
            "pk": 7,
            "subject": "",
            "source": "ours",
            "explanation": "since A",
        }
        made = question(columns.named("", {"id": "pk"}).parse, row)
        assert (made.context, made.id, made.subject, made.source) == (("One.",), "7", None, "ours")
        assert "since A" not in made.model_dump_json()

    def test_a_table_without_the_columns_says_which_there_are(self) -> None:
        with pytest.raises(Refused, match="no column stem; the columns are question, label"):
            columns.check({"question": 1, "label": 2}, {"question": "stem"})


def test_a_picture_several_layouts_and_a_source() -> None:
    assert rejected(PARSE, {"question": STEM, "options": OPTIONS, "answer": "C", "image": "x.png"}).field == "image"
    assert question(PARSE, {"question": STEM, "options": OPTIONS, "answer": "C", "image": None}).answer == "C"
    named = RowParser(NAMED, [NAMED], source="my exam", answered=True)
    assert question(named, {"question": STEM, "options": TEXTS, "answer": "C", "source": "x"}).source == "my exam"


def test_unanswered_rows_are_questions_to_compare() -> None:
    parse = RowParser(NAMED, [*LAYOUTS, OURS_LAYOUT, NAMED], source=None, answered=False)
    for row in ({"question": STEM, "options": TEXTS}, sources.medmcqa(-1), sources.medqa(answer_idx="B")):
        assert question(parse, row).question.startswith(STEM)
    with pytest.raises(Unfit):
        parse({"question": STEM})

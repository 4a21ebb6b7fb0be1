"""Layouts of rows with plainly named fields: derived from the names of the fields. Pure.

Only fields of the contract are kept: other columns may give the answer away.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from services.contracts.question import LETTERS
from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout, get
from services.importers.rows import Fields, Unfit

QUESTIONS: Final = (
    "question", "stem", "question_text", "question_stem", "questiontext", "question_content", "body", "problem",
    "qtext", "query", "q", "prompt", "input", "text",
)  # fmt: skip
OPTIONS: Final = (
    "options", "option", "choices", "choice", "answer_choices", "answer_options", "multiple_choice", "candidates",
    "alternatives", "possible_answers", "endings", "mc1_targets", "option_list", "choice_list", "answers",
)  # fmt: skip
ANSWERS: Final = (
    "answer", "answer_idx", "answer_index", "answer_id", "answer_key", "answerkey", "answer_letter", "answer_text",
    "answer_label", "answer_option", "correct", "correct_answer", "correct_answers", "correctanswer", "correct_option",
    "correct_choice", "correct_letter", "correct_idx", "correct_index", "correct_answer_idx", "correct_answer_index",
    "correct_answer_text", "correct_answer_letter", "correct_label", "correct_text", "correct_option_index",
    "right_answer", "gold", "gold_answer", "gold_index", "gold_idx", "gold_label", "gold_letter", "cop", "ra", "ans",
    "final_decision", "ground_truth", "groundtruth", "correct_answer_key", "correct_key", "correct_ans",
)  # fmt: skip
FALLBACKS: Final = ("choice", "label", "labels", "target", "key", "solution", "response", "output")
"""Names of the answer that are used only without a plainer one."""
SHOWN: Final = {
    "context": ("context", "contexts", "passage"),
    "id": ("id", "question_id", "qid", "uid", "uuid"),
    "source": ("source", "dataset", "dataset_name"),
    "subject": ("subject", "subject_name", "category", "topic", "specialty", "speciality"),
}
_COLUMN: Final = re.compile(r"(op|opt|option|choice|ending|answer|ans|alternative)?_?(?:([a-j])|(\d{1,2}))(_text)?")


def norm(name: Any) -> str:
    """The normalised name of a field: `Correct Option`, `correct-option` and `correctOption` are equal."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(name).strip()[:100])
    return re.sub(r"[\s\-_.]+", "_", text.lower()).strip("_")


class Named:
    """The layout of rows with plain names. `given` maps contract names to column names."""

    specific = False
    about = "fields with plain names"

    def __init__(self, name: str, given: Mapping[str, str] | None = None, first: int | None = None) -> None:
        """`first`: the base of answers that are numbers; None: numbers are not interpreted. `answer_text` in `given`:
        the column whose value is the text of the correct option."""
        self.name = name
        self._given = tuple(sorted((given or {}).items()))
        self._first = first

    def may_have(self, names: tuple[Any, ...]) -> bool:
        """Whether a row with these names may have this layout."""
        return _layout(names, self._given, self._first) is not None

    def has_fields(self, row: Any) -> bool:
        """Whether the names identify question, options and answer."""
        return bool((layout := self._layout(row)) and layout.answer and _is_text(row, layout))

    def asks(self, row: Any) -> bool:
        """Whether the names identify question and options."""
        return bool((layout := self._layout(row)) and _is_text(row, layout))

    def recognises(self, row: Any) -> bool:
        """Whether `parse` succeeds for the row."""
        try:
            return bool(self.parse(row))
        except Unfit:
            return False

    def parse(self, row: Any) -> Fields:
        """Parse a row to a question. Raises Unfit."""
        return self._needed(row).parse(row)

    def unanswered(self, row: Any) -> Fields:
        """Parse a row without its answer. Raises Unfit."""
        return self._needed(row).unanswered(row)

    def lacks(self, row: Any) -> list[str]:
        """Those of question, options and answer that no name identifies."""
        if not isinstance(row, Mapping):
            return ["names"]
        names = {norm(name): name for name in row}
        given = dict(self._given)
        return [
            part
            for part, found in (
                ("question", "question" in given or _first(names, QUESTIONS)),
                ("options", "options" in given or _first(names, OPTIONS) or _columns(names)),
                ("answer", "answer" in given or "answer_text" in given or _first(names, (*ANSWERS, *FALLBACKS))),
            )
            if not found
        ]

    def _needed(self, row: Any) -> Layout:
        if not isinstance(row, Mapping):
            raise Unfit("row", "must be an object with named fields")
        if layout := self._layout(row):
            return layout
        missing = self.lacks(row)
        raise Unfit(missing[0] if missing else "row", f"not found; the fields are {', '.join(map(str, row))}"[:500])

    def _layout(self, row: Any) -> Layout | None:
        return _layout(tuple(row), self._given, self._first) if isinstance(row, Mapping) else None


def _is_text(row: Mapping[str, Any], layout: Layout) -> bool:
    """Whether the stem is a text: in other files a column of texts, or its description, has the same name."""
    return not isinstance(get(row, layout.question[0]), Mapping | list)


@lru_cache(maxsize=1024)
def _layout(keys: tuple[Any, ...], given: tuple[tuple[str, str], ...], first: int | None) -> Layout | None:
    """The layout for these names; None if none identifies the question or the options."""
    names: dict[str, Any] = {}
    for key in keys:
        if isinstance(key, str):
            names.setdefault(norm(key), key)
    ours = dict(given)
    question = ours.get("question") or _first(names, QUESTIONS)
    letters = tuple((letter, ours[letter]) for letter in LETTERS if letter in ours)
    options: str | tuple[tuple[str, str], ...] | None
    options = letters or ours.get("options") or _columns(names) or _first(names, OPTIONS)
    if not question or not options:
        return None
    layout = Layout(
        name="",
        about="",
        question=(question,),
        options=options,
        answer=_said(names, ours, options),
        tells=frozenset(),
        specific=False,
        source_field=ours.get("source") or _first(names, SHOWN["source"]),
        context=ours.get("context") or _first(names, SHOWN["context"]),
        id=ours.get("id") or _first(names, SHOWN["id"]),
        subject=ours.get("subject") or _first(names, SHOWN["subject"]),
    )
    return layout if first is None else layout.numbered(first)


def _said(names: Mapping[str, str], ours: Mapping[str, str], options: Any) -> tuple[Said, ...]:
    if "answer_text" in ours:
        return (Said(ours["answer_text"], "text"),)
    if "answer" in ours:
        return (Said(ours["answer"]),)
    used = {options} if isinstance(options, str) else {name for _, name in options}
    for group in (ANSWERS, FALLBACKS):
        if found := [names[name] for name in group if name in names and names[name] not in used]:
            return tuple(map(Said, found))
    return ()


def _first(names: Mapping[str, str], wanted: Iterable[str]) -> str | None:
    return next((names[name] for name in wanted if name in names), None)


def _columns(names: Mapping[str, str]) -> tuple[tuple[str, str], ...] | None:
    """Columns with one option each, in order: A, B, C …, option_a …, or option_1 … from 0 or 1."""
    groups: dict[tuple[str, bool, str], dict[int, str]] = {}
    for name, key in names.items():
        if found := _COLUMN.fullmatch(name):
            place = ord(found[2]) - ord("a") if found[2] else int(found[3])
            groups.setdefault((found[1] or "", bool(found[2]), found[4] or ""), {})[place] = key
    fitting = [
        columns
        for (prefix, lettered, _), columns in groups.items()
        if len(columns) > 1 and (lettered or prefix) and sorted(columns) in _runs(len(columns), lettered)
    ]
    if len(fitting) != 1:
        return None
    return tuple((columns[place], columns[place]) for columns in fitting for place in sorted(columns))


def _runs(count: int, lettered: bool) -> list[list[int]]:
    return [list(range(first, first + count)) for first in ((0,) if lettered else (0, 1))]

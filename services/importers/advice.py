"""Error texts for rows of an unknown format: close layouts, what they lack, and a command that may work. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.importers.layouts.layout import Layout, has
from services.importers.layouts.named import Named
from services.importers.layouts.options import read
from services.importers.reading import fields_of
from services.importers.rows import Unfit

CLOSE: Final = 2
"""The most layouts that are named."""


LONG: Final = 60
"""The length from which a column's name counts as a text."""


def unknown(row: Any, layouts: Sequence[Layout], name: str) -> str:
    """The reason and the remedy for a file that begins with this row."""
    said = [f"its format is not recognised ({fields_of(row)})"]
    if isinstance(row, list):
        return f"{said[0]}: add a line with the names of the columns, such as question,A,B,C,D,answer"
    if not isinstance(row, Mapping):
        return f"{said[0]}: a row must be an object with named fields"
    if any(str(field).strip().endswith("?") or len(str(field)) > LONG for field in row):
        return (
            "its first line looks like a question, not like the names of columns: add a line with the names, such as "
            "question,A,B,C,D,answer"
        )
    said += _close(row, layouts)
    lacking = Named("").lacks(row)
    if "options" in lacking and not _options(row):
        said.append("no field has options, and open questions are not supported")
        said.append("if fields have them, map them, as in --columns question=stem,A=first,B=second,answer=label")
        return "; ".join(said)
    said.append(f"map the columns, as in: reasonmed submit {shlex.quote(name)} --columns {_columns(row)}")
    return "; ".join(said)


def _close(row: Mapping[str, Any], layouts: Sequence[Layout]) -> list[str]:
    """The layouts that a row matches best, and what it lacks."""
    near = []
    for layout in layouts:
        missing = sorted(field for field in layout.tells if not has(row, field))
        if len(missing) <= len(layout.tells) / 2:
            near.append((len(missing), layout.name, missing, layout))
    near.sort(key=lambda one: (one[0], one[1]))
    return [_difference(row, name, missing, layout) for _, name, missing, layout in near[:CLOSE]]


def _difference(row: Mapping[str, Any], name: str, missing: list[str], layout: Layout) -> str:
    if missing:
        return f"{name} comes close, but {', '.join(missing)} is missing"
    if found := [field for field in layout.lacks if has(row, field)]:
        return f"{name} comes close, but has no {', '.join(sorted(found))}"
    return f"{name} comes close, but {', '.join(layout.values)} has other values"


def _columns(row: Mapping[str, Any]) -> str:
    """A value for --columns: guessed from the row's values, else with placeholders."""
    flat = dict(_flat(row))
    options = _options(flat)
    texts = {name: value for name, value in flat.items() if isinstance(value, str) and name != options}
    question = max(texts, key=lambda name: len(texts[name]), default="FIELD")
    rest = [name for name in flat if name not in (question, options)]
    answer = next((name for name in rest if any(word in name.lower() for word in _ANSWER)), "FIELD")
    chosen = [f"question={question}", f"options={options}" if options else "A=FIELD,B=FIELD", f"answer={answer}"]
    if isinstance(flat.get(answer), int):
        chosen.append("answer_index=0")
    return shlex.quote(",".join(chosen))


_ANSWER: Final = ("answer", "correct", "gold", "label", "target", "key", "solution", "right")


def _flat(row: Mapping[str, Any], before: str = "") -> Sequence[tuple[str, Any]]:
    """Fields by path, without flattening objects that are options."""
    made: list[tuple[str, Any]] = []
    for name, value in row.items():
        if isinstance(value, Mapping) and not before and not _is_options(value):
            made += _flat(value, f"{name}.")
        else:
            made.append((f"{before}{name}", value))
    return made


def _options(row: Mapping[str, Any]) -> str | None:
    return next((name for name, value in _flat(row) if _is_options(value)), None)


def _is_options(value: Any) -> bool:
    if not isinstance(value, list | Mapping) or not 2 <= len(value) <= 10:
        return False
    try:
        return all(option.text for option in read(value))
    except Unfit:
        return False

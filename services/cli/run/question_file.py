"""A question's options and gold answer in a JSON file, for `reasonmed reply`: of a message, a row, or an export."""

from pathlib import Path
from typing import Any

import orjson

from services.cli.console import Failed
from services.contracts.question import LETTERS

FILE_BYTES = 4 * 1024 * 1024
"""No question is as large; a file of many rows may be, and its first row counts."""


def options_and_gold(file: Path) -> tuple[dict[str, str | None], str | None]:
    """Options by letter, and the gold answer's letter if the file has one. Raises Failed where it holds no options."""
    row = _row(file)
    if isinstance(row.get("question"), dict):  # a submission, a case or a record
        row = row["question"]
    options = row.get("options", row.get("choices"))
    if isinstance(options, list):
        options = dict(zip(LETTERS, options, strict=False))
    letters = isinstance(options, dict) and all(key in LETTERS and isinstance(options[key], str) for key in options)
    if not options or not letters:
        raise Failed(f'{file} has no options: it should hold a JSON object as {{"options": {{"A": "…", "B": "…"}}}}')
    answer = next((row[name] for name in ("answer", "gold", "answer_idx") if isinstance(row.get(name), str)), None)
    gold = next((letter for letter, text in options.items() if answer is not None and answer in (letter, text)), answer)
    return dict(sorted(options.items())), gold


def _row(file: Path) -> dict[str, Any]:
    """The file's JSON object, or its first line's."""
    with file.open("rb") as opened:
        raw = opened.read(FILE_BYTES).removeprefix(b"\xef\xbb\xbf")
    for data in (raw, raw.strip().partition(b"\n")[0]):
        try:
            row = orjson.loads(data)
        except orjson.JSONDecodeError:
            continue
        if isinstance(row, list) and row:
            row = row[0]
        if isinstance(row, dict):
            return row
    raise Failed(f"{file} holds no JSON object")

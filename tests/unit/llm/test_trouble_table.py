"""docs/model-server-errors.md is the table in code. Write it: python -m tests.unit.llm.test_trouble_table"""

from pathlib import Path

from services.llm.trouble_table import TABLE, Row

PAGE = Path(__file__).parents[3] / "docs" / "model-server-errors.md"

_ABOUT = """# What a model server's errors mean

A failed call is judged by what the other calls of the same server did since ([ADR 20](\
adr/0020-whose-trouble-and-how-many-at-once.md)). The first row that matches counts. An error inside a 200 or a 500
counts by its own code.

- *busy*: the server's limit falls to what it has accepted; the call is held, and a pool's next server is tried.
- *operator*: the call is held until the setting is right. `/readyz`, the log and its metric say why.
- *time-out*, *failed*: if other calls succeed, four tries, then a final failure; if all fail, held.
- *refused*: if other calls succeed, two tries, then a final failure; if all are refused, held as a wrong configuration.

Codes are compared without case and punctuation, also inside `errors` and `detail`. Retry-After is honoured up to 60 s:
`retry-after-ms`, seconds, `30s`, `1m30s`, `2 minutes`, a date. No connection at all is never final.

| status | code, type or words | kind | meaning |
| --- | --- | --- | --- |
"""


def page() -> str:
    return _ABOUT + "".join(map(_line, TABLE))


def _line(row: Row) -> str:
    said = ", ".join(f"`{code}`" for code in sorted(row.codes)) or ", ".join(f"“{word}”" for word in row.words)
    return f"| {_ranges(sorted(row.statuses))} | {said} | {row.kind} | {row.means} |\n"


def _ranges(statuses: list[int]) -> str:
    starts = [one for one in statuses if one - 1 not in statuses]
    ends = [one for one in statuses if one + 1 not in statuses]
    return ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in zip(starts, ends, strict=True))


def test_the_page_is_the_table():
    assert PAGE.read_text() == page(), "write it: python -m tests.unit.llm.test_trouble_table"


if __name__ == "__main__":
    PAGE.write_text(page())

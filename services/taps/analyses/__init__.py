"""Five ready-made analyses, each a query over `cases`, `paths`, `calls` and `models`.

NAME.sql begins with a comment: the question it answers, and how to read the result.
"""

from pathlib import Path

NAMES = ("verdicts", "cost", "refinement", "agreement", "disputed")


def sql(name: str) -> str:
    """The query of this name, its comment included."""
    return (Path(__file__).parent / f"{name}.sql").read_text(encoding="utf-8")


def about(name: str) -> str:
    """The comment of the query: the question it answers, and how to read the result."""
    lines = sql(name).splitlines()
    return "\n".join(line.removeprefix("--").removeprefix(" ") for line in lines if line.startswith("--"))

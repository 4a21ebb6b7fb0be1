"""Five questions that teams ask of the stream, each a query over `cases`, `paths`, `calls` and `models`.

NAME.sql begins with what it answers and how to read it.
"""

from pathlib import Path

NAMES = ("verdicts", "cost", "refinement", "agreement", "disputed")


def sql(name: str) -> str:
    """The query of this name, its comment included."""
    return (Path(__file__).parent / f"{name}.sql").read_text(encoding="utf-8")


def about(name: str) -> str:
    """Its comment: what it answers, and how to read it."""
    lines = sql(name).splitlines()
    return "\n".join(line.removeprefix("--").removeprefix(" ") for line in lines if line.startswith("--"))

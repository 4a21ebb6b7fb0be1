"""`reasonmed index`: an index of evaluation sets, for admission to refuse their questions."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import Json
from services.cli.ingest.options import Columns, Delimiter, Encoding, FormatOption

OUT = Path("evaluation.index")


def index(
    files: Annotated[
        list[str], typer.Argument(help="The sets' files, in any format that `submit` reads; folders, at any depth.")
    ],
    out_file: Annotated[Path, typer.Option("--out", help="Where it goes; an existing one is replaced.")] = OUT,
    format: FormatOption = "auto",
    columns: Columns = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Index the questions of evaluation sets, so that none of them is worked on: routers that are given the index
    (`reasonmed up --evaluation-index`, REASONMED_ADMISSION__EVALUATION_INDEX) refuse a question with the same words, or
    with seven tenths of one's runs of eight words, before anything is paid for it. Answers don't count: a set without
    them is indexed too.

    A row that is no question is listed, the rest is indexed, and the exit code is 1. No index is written where a file
    can't be read as questions, or holds none. What is refused later: `reasonmed tap question-refused`.

    Example:  reasonmed index medqa/test.jsonl mmlu/ --out evaluation.index
    """
    # Only when it runs: --help needs the options alone.
    from services.cli.ingest import indexing
    from services.cli.ingest.asked import asked as as_asked

    asked = as_asked(format, columns, source=None, delimiter=delimiter, encoding=encoding)
    indexing.run(files, asked, out_file, json=json)

"""How files are read: the options that `submit` and `index` share."""

from typing import Annotated

import typer

from services.contracts.topics import Lane
from services.importers.names import Format

FormatOption = Annotated[Format, typer.Option(help="How questions are written; auto prints the detected format.")]
LaneOption = Annotated[
    Lane, typer.Option("--lane", help="backfill: questions that may wait; every stage takes live ones first.")
]
Columns = Annotated[
    str | None,
    typer.Option(
        help="NAME=FIELD,… for fields with other names; a FIELD may be a path such as data.Question. answer_index=0 or "
        "1 says from where numbers count, answer_text that answers are texts."
    ),
]
Source = Annotated[str | None, typer.Option(help="The questions' source, such as medqa; not part of their ids.")]
Delimiter = Annotated[str | None, typer.Option(help="Between the cells of a table: one character, or tab.")]
Encoding = Annotated[str | None, typer.Option(help="Of a text file, such as latin-1 or gb18030; else it is detected.")]

"""Chooses how to read a file: container, layout, parser."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import Any, Final

from services.contracts.codec import Malformed
from services.contracts.topics import Lane
from services.importers import advice, columns, medmcqa, mmlu_files
from services.importers.columns import Columns
from services.importers.layouts import LAYOUTS
from services.importers.layouts.layout import Layout
from services.importers.layouts.named import QUESTIONS, Named, norm
from services.importers.layouts.ours import Ours
from services.importers.names import AUTO, FROM, OURS, PLAIN, Format
from services.importers.places import File, Place, Stdin
from services.importers.readers import Reading, reading
from services.importers.readers.shape import Asked as AskedShape
from services.importers.readers.shape import Container, Known, Shape, shape_of
from services.importers.reading import AnyLayout, RowParser
from services.importers.rows import Parse, Refused, Row, Unfit, loaded

LOOK: Final = 100
"""Rows that are tried to detect a format: the first ones may be broken."""

OURS_LAYOUT: Final = Ours()
_BY_NAME: Final[dict[str, Layout]] = {layout.name: layout for layout in LAYOUTS}
_TEXTS: Final[tuple[Container, ...]] = ("jsonl", "json")


@dataclass(frozen=True)
class Asked:
    """The user's options for reading files."""

    format: Format = "auto"
    columns: Columns = field(default_factory=dict)
    recipe_id: str | None = None
    source: str | None = None
    """The source of every question; overrides the rows."""
    delimiter: str | None = None
    encoding: str | None = None
    answered: bool = True
    """Whether questions without an answer are rejected."""
    lane: Lane = "live"
    """Not part of its text: a file that was interrupted resumes in another lane too."""

    def __str__(self) -> str:
        names = ",".join(f"{name}={column}" for name, column in sorted(self.columns.items()))
        more = [part for part in (self.source, self.delimiter, self.encoding) if part]
        return " ".join([self.format, names, self.recipe_id or "current", *more])


@dataclass(frozen=True)
class Chosen:
    """How to read a file."""

    name: str
    """The name of the layout, or of the container for plainly named fields."""
    shape: Shape
    parse: Parse


def chosen(file: File, asked: Asked) -> Chosen:
    """Choose how to read a file: by the user's options, or for `auto` by its name and first rows. Raises Refused,
    OSError."""
    shape = shape_of(file, AskedShape(_container(asked), asked.encoding, asked.delimiter), _known(asked))
    return _chosen(file.name, file, asked, shape, list(islice(_values(file, shape), LOOK)))


def of_stream(name: str, asked: Asked, shape: Shape, head: Sequence[Row]) -> Chosen:
    """Choose how to read a stream by its first rows. Raises Refused."""
    return _chosen(name, None, asked, shape, list(_loaded(head)))


def stream_shape(asked: Asked, stdin: Stdin) -> Shape:
    """Detect the encoding and container of standard input. Raises Refused."""
    return shape_of(stdin, AskedShape(_container(asked), asked.encoding, asked.delimiter), _known(asked))


def _container(asked: Asked) -> Container | None:
    match asked.format:
        case "csv" | "tsv":
            return "csv"
        case "parquet":
            return "parquet"
        case "mmlu":
            return "cells"
        case "jsonl":
            return "jsonl"
        case "json":
            return "json"
        case _:
            return None


def _chosen(name: str, file: File | None, asked: Asked, shape: Shape, head: list[Any]) -> Chosen:
    """`file`: None for a stream, which cannot be read twice."""
    named = columns.named(_plain_name(shape), asked.columns)
    first = _first(asked, shape, named, head, name)
    if shape.container in ("csv", "parquet", "arrow"):  # JSON's fields may differ from row to row
        columns.check(next(iter(head), None), asked.columns)
    others = [named] if asked.columns else _others(shape, named)
    if first.name == "medmcqa" and asked.format not in FROM:
        rows = None if file is None else partial(_values, file, shape)
        numbered = medmcqa.counted(_BY_NAME["medmcqa"], rows, answered=asked.answered)
        first, others = numbered, [numbered if one.name == "medmcqa" else one for one in others]
    if first.name == "mmlu":
        first = mmlu_files.of_file(_BY_NAME["mmlu"], name)
    parse = RowParser(first, others, source=asked.source, answered=asked.answered)
    return Chosen(first.name, shape, parse)


def _first(asked: Asked, shape: Shape, named: Named, head: list[Any], name: str) -> AnyLayout:
    """The layout to try first. Raises Refused."""
    if asked.format in FROM:
        return _BY_NAME["medmcqa"].numbered(FROM[asked.format])
    if asked.format == OURS:
        return OURS_LAYOUT
    if asked.format in PLAIN or asked.columns:
        return named
    if not head and shape.first and asked.format == AUTO:
        head = [dict.fromkeys(shape.first, "")]
    if asked.format != AUTO:
        return _BY_NAME[asked.format]
    return recognised(_others(shape, named), head, name, answered=asked.answered)


def recognised(layouts: Sequence[AnyLayout], head: Sequence[Any], name: str, *, answered: bool = True) -> AnyLayout:
    """The layout of a file by its first rows: that of the first row that a layout parses, or else whose fields it has;
    the last layout if there are no rows. Raises Refused."""
    for row in head:
        for layout in layouts:
            if layout.recognises(row) or (layout.name == "medmcqa" and layout.has_fields(row)):
                return layout
            if layout.specific and layout.has_fields(row):
                break  # a specific layout's result is final
    for row in head:
        for layout in layouts:
            if layout.has_fields(row):
                return layout
    last = layouts[-1]
    if not head or (not answered and any(_asks(last, row) for row in head)):
        return last
    raise Refused(advice.unknown(head[0], LAYOUTS, name))


def _asks(layout: AnyLayout, row: Any) -> bool:
    return isinstance(layout, Named) and layout.asks(row)


def _others(shape: Shape, named: Named) -> list[AnyLayout]:
    """All layouts for rows of this container, specific ones first."""
    ours: list[AnyLayout] = [OURS_LAYOUT] if shape.container in _TEXTS else []
    if shape.container == "cells":
        return [_BY_NAME["mmlu"], named]
    return [*(layout for layout in LAYOUTS if not layout.cells), *ours, named]


def _plain_name(shape: Shape) -> str:
    return "tsv" if shape.container == "csv" and shape.delimiter == "\t" else shape.container


def _known(asked: Asked) -> Known:
    """The layouts' checks on the beginning of a file."""
    named = columns.named("", asked.columns)
    layouts: tuple[AnyLayout, ...] = (*LAYOUTS, OURS_LAYOUT, named)

    def is_row(value: Any) -> bool:
        return named.asks(value) or any(layout.has_fields(value) for layout in layouts)

    def is_header(cells: Sequence[str]) -> bool:
        return bool(cells) and is_row(dict.fromkeys(cells, ""))

    def is_question(name: str) -> bool:
        return norm(name) in QUESTIONS or name == asked.columns.get("question")

    return Known(is_header, mmlu_files.is_record, is_row, is_question)


def _values(file: Place, shape: Shape) -> Iterator[Any]:
    """The values of readable rows."""
    with reading(file, shape) as open_file:
        yield from _loaded(open_file.rows)


def _loaded(rows: Iterable[Row]) -> Iterator[Any]:
    for row in rows:
        with suppress(Malformed, Unfit):
            yield loaded(row.value)


@contextmanager
def reading_stdin(asked: Asked) -> Iterator[tuple[Chosen, Reading]]:
    """The format of standard input, detected by its first rows, and all its rows. Raises Refused."""
    stdin = Stdin()
    shape = stream_shape(asked, stdin)
    with reading(stdin, shape) as read:
        head = list(islice(read.rows, LOOK))
        yield of_stream("-", asked, shape, head), Reading(chain(head, read.rows), read.fraction)

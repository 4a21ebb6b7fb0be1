"""How a file is read: its container, its layout, its parser."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import Any, Final

from services.contracts.codec import Malformed
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
"""Rows that are looked at to recognise a format: a file may begin with broken ones."""

OURS_LAYOUT: Final = Ours()
_BY_NAME: Final[dict[str, Layout]] = {layout.name: layout for layout in LAYOUTS}
_TEXTS: Final[tuple[Container, ...]] = ("jsonl", "json")


@dataclass(frozen=True)
class Asked:
    """How files are to be read."""

    format: Format = "auto"
    columns: Columns = field(default_factory=dict)
    recipe_id: str | None = None
    source: str | None = None
    """Stands in every question, whatever the rows say."""
    delimiter: str | None = None
    encoding: str | None = None
    answered: bool = True
    """Whether a question without an answer is refused."""

    def __str__(self) -> str:
        names = ",".join(f"{name}={column}" for name, column in sorted(self.columns.items()))
        more = [part for part in (self.source, self.delimiter, self.encoding) if part]
        return " ".join([self.format, names, self.recipe_id or "current", *more])


@dataclass(frozen=True)
class Chosen:
    """How a file is read."""

    name: str
    """The layout's, or that of the container where fields are plainly named."""
    shape: Shape
    parse: Parse


def chosen(file: File, asked: Asked) -> Chosen:
    """How a file is read: as the user says, or for `auto` what its name and first rows tell. Raises Refused,
    OSError."""
    shape = shape_of(file, AskedShape(_container(asked), asked.encoding, asked.delimiter), _known(asked))
    return _chosen(file.name, file, asked, shape, list(islice(_values(file, shape), LOOK)))


def of_stream(name: str, asked: Asked, shape: Shape, head: Sequence[Row]) -> Chosen:
    """How what comes in order and once is read, by the first of its rows. Raises Refused."""
    return _chosen(name, None, asked, shape, list(_loaded(head)))


def stream_shape(asked: Asked, stdin: Stdin) -> Shape:
    """How standard input is written. Raises Refused."""
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
    """`file`: None of a stream, which can't be read twice."""
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
    """The layout that is tried first. Raises Refused."""
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
    """The layout of a file by its first rows: of the first row that one reads, or else whose fields one has; the last
    one of no rows at all. Raises Refused."""
    for row in head:
        for layout in layouts:
            if layout.recognises(row) or (layout.name == "medmcqa" and layout.has_fields(row)):
                return layout
            if layout.specific and layout.has_fields(row):
                break  # its word on the row is final
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
    """Every layout that rows of this container may have, narrow ones first."""
    ours: list[AnyLayout] = [OURS_LAYOUT] if shape.container in _TEXTS else []
    if shape.container == "cells":
        return [_BY_NAME["mmlu"], named]
    return [*(layout for layout in LAYOUTS if not layout.cells), *ours, named]


def _plain_name(shape: Shape) -> str:
    return "tsv" if shape.container == "csv" and shape.delimiter == "\t" else shape.container


def _known(asked: Asked) -> Known:
    """What layouts know of a file's beginning."""
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
    """The values of the rows that can be read."""
    with reading(file, shape) as open_file:
        yield from _loaded(open_file.rows)


def _loaded(rows: Iterable[Row]) -> Iterator[Any]:
    for row in rows:
        with suppress(Malformed, Unfit):
            yield loaded(row.value)


@contextmanager
def reading_stdin(asked: Asked) -> Iterator[tuple[Chosen, Reading]]:
    """Standard input's format, told by its first rows, and all of its rows. Raises Refused."""
    stdin = Stdin()
    shape = stream_shape(asked, stdin)
    with reading(stdin, shape) as read:
        head = list(islice(read.rows, LOOK))
        yield of_stream("-", asked, shape, head), Reading(chain(head, read.rows), read.fraction)

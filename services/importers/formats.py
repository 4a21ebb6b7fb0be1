"""Every format that is read, in one table."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from services.contracts.codec import Malformed
from services.importers import columns, medmcqa, medqa, mmlu, pubmedqa
from services.importers.readers import Container, container_of, reading
from services.importers.rows import Parse, Refused, Row, Unfit, contract, loaded

LOOK = 100
"""Rows that are looked at to recognise a format: a file may begin with broken ones."""


@dataclass(frozen=True)
class Given:
    """What a format may know before the first row."""

    name: str
    """The file's, or the topic's."""
    names: columns.Columns
    rows: Callable[[], Iterator[Any]] | None = None
    """All rows, once more; None of a stream."""


@dataclass(frozen=True)
class Format:
    """A way to write questions."""

    name: str
    containers: tuple[Container, ...]
    recognises: Callable[[Any], bool]
    """Whether a row looks like this format's. Formats are asked in the table's order."""
    parser: Callable[[Given], Parse]
    """Raises Refused."""


def _is_ours(row: Any) -> bool:
    if not isinstance(row, dict) or "question" not in row:
        return False
    return not {"A", "B"} <= row.keys() and not isinstance(row.get("options"), list | str)


def _counted(given: Given) -> Parse:
    if given.rows is None:
        raise Refused(
            "a stream doesn't tell from which number MedMCQA's cop counts: say --format medmcqa-from-1 (the original) "
            "or medmcqa-from-0 (the Hugging Face copy)"
        )
    return medmcqa.counting_from(medmcqa.counts_from(given.rows()))


_TABLES: tuple[Literal["jsonl", "csv", "parquet"], ...] = ("jsonl", "csv", "parquet")
_PLAIN: dict[Container, Format] = {
    table: Format(table, (table,), columns.recognises, lambda given: columns.named(given.names)) for table in _TABLES
}
"""Named columns, by container."""

FORMATS = {
    one.name: one
    for one in (
        Format("medmcqa", _TABLES, medmcqa.recognises, _counted),
        Format("medmcqa-from-0", _TABLES, lambda row: False, lambda given: medmcqa.counting_from(0)),
        Format("medmcqa-from-1", _TABLES, lambda row: False, lambda given: medmcqa.counting_from(1)),
        Format("medqa", ("jsonl", "parquet"), medqa.recognises, lambda given: medqa.parse),
        Format("mmlu", ("cells",), mmlu.recognises, lambda given: mmlu.of_subject(mmlu.subject(given.name))),
        Format("pubmedqa", ("keyed",), pubmedqa.recognises, lambda given: pubmedqa.parse),
        _PLAIN["csv"],
        _PLAIN["parquet"],
        Format("questions", ("jsonl",), _is_ours, lambda given: contract),
        _PLAIN["jsonl"],
    )
}
"""By name."""

AUTO = "auto"


@dataclass(frozen=True)
class Chosen:
    """How a file is read."""

    format: Format
    container: Container
    parse: Parse


def chosen(file: Path, name: str, names: columns.Columns) -> Chosen:
    """How a file is read: as the format says that is named, or for `auto` what its name and first rows tell. Raises
    Refused, OSError."""
    container = stream_container(name) if name != AUTO and len(FORMATS[name].containers) == 1 else container_of(file)
    if container == "csv" and name == AUTO and not names and mmlu.recognises(next(_values(file, "cells"), None)):
        container = "cells"
    format = _format(name, names, container, list(islice(_values(file, container), LOOK)))
    parse = format.parser(Given(file.name, names, lambda: _values(file, container)))
    return Chosen(format, container, parse)


def stream_container(name: str) -> Container:
    """In what a format comes that comes in order and once: JSON lines, where it can. Raises Refused."""
    containers = FORMATS[name].containers if name != AUTO else _TABLES
    return "jsonl" if "jsonl" in containers else containers[0]


def of_stream(name: str, format: str, names: columns.Columns, container: Container, head: list[Row]) -> Chosen:
    """How what comes in order and once is read, by the first of its rows. Raises Refused."""
    one = _format(format, names, container, list(_loaded(head)))
    return Chosen(one, container, one.parser(Given(name, names)))


def _format(name: str, names: columns.Columns, container: Container, head: list[Any]) -> Format:
    if name != AUTO:
        format = FORMATS[name]
    elif names:
        if container not in _PLAIN:
            raise Refused(f"has no named columns: it is {container}")
        format = _PLAIN[container]
    else:
        format = recognised(container, head)
    if container not in format.containers:
        raise Refused(f"is {container}, and {name} is read from {' or '.join(format.containers)}")
    if format is _PLAIN.get(container) and container != "jsonl":  # JSON's fields may differ from row to row
        columns.check(next(iter(head), None), names)
    return format


def recognised(container: Container, head: list[Any]) -> Format:
    """The first format that one of these rows is of; the first of a container's, if there is no row at all. Raises
    Refused."""
    fitting = [one for one in FORMATS.values() if container in one.containers]
    for row in head:
        for one in fitting:
            if one.recognises(row):
                return one
    if not head:
        return _PLAIN.get(container, fitting[0])
    shown = ", ".join(map(str, head[0])) if isinstance(head[0], dict) else "no fields"
    raise Refused(f"its format is not recognised ({shown}): say --columns question=…,answer=…, or --format")


def _values(file: Path, container: Container) -> Iterator[Any]:
    """The values of the rows that can be read."""
    with reading(file, container) as open_file:
        yield from _loaded(open_file.rows)


def _loaded(rows: Iterable[Row]) -> Iterator[Any]:
    for row in rows:
        with suppress(Malformed, Unfit):
            yield loaded(row.value)

"""Streams JSON other than JSON lines: arrays, wrapped and keyed objects, columns.

The beginning of the document determines where the rows are. Their path has the steps `[]` (any item of a list), `*`
(any field of an object), or a field name.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from io import BufferedReader, BytesIO, RawIOBase
from typing import IO, Any, Final, Literal, assert_never, cast

import ijson

from services.importers.readers.finite import Finite
from services.importers.rows import Refused, Row, Unfit

Open = Callable[[], AbstractContextManager[IO[bytes]]]

NAMED: Final = frozenset({
    "data", "row", "rows", "questions", "question", "items", "examples", "instances", "records", "results", "entries",
})  # fmt: skip
"""Fields that contain the rows. Any other field on the path is one of several, such as a split."""
DEPTH: Final = 8
"""The most levels that are searched for rows."""


@dataclass(frozen=True)
class Document:
    """The location of the rows of a document."""

    kind: Literal["rows", "columns", "split"]
    """`columns`: pandas' orient with a field per column; `split`: with columns and data."""
    steps: tuple[str, ...] = ()


def find(head: bytes, is_row: Callable[[Any], bool], is_question: Callable[[str], bool]) -> Document:
    """Find the rows of a document by its beginning. Raises Refused if it has no objects."""
    root, objects = _beginning(head)
    if isinstance(root, dict):
        if any(is_question(name) and isinstance(value, dict | list) for name, value in root.items()):
            return Document("columns")
        rows = root.get("data")
        if isinstance(root.get("columns"), list) and (rows is None or _lists(rows)):
            return Document("split")
    recognised = [steps for steps, value in objects if is_row(value)]
    if recognised:
        return Document("rows", min(recognised, key=len))
    in_lists = [steps for steps, _ in objects if steps and steps[-1] == "[]"]
    if in_lists:
        return Document("rows", min(in_lists, key=len))
    if root in ([], {}):
        raise Refused("has no rows")
    if isinstance(root, list):
        raise Refused("its list has no objects: a row must have named fields")
    values = list(root.values()) if isinstance(root, dict) else []
    keyed = bool(values) and all(isinstance(value, dict) for value in values)
    return Document("rows", ("*",) if keyed else ())


def without_bom(data: IO[bytes]) -> IO[bytes]:
    """The same bytes without a byte order mark."""
    buffered = BufferedReader(cast(RawIOBase, data))
    if buffered.peek(3).startswith(b"\xef\xbb\xbf"):
        buffered.read(3)
    return cast(IO[bytes], buffered)


def rows(open: Open, document: Document, *, again: bool) -> Iterator[Row]:
    """The rows, with their key if they have one. `again`: the file can be opened more than once."""
    match document.kind:
        case "rows":
            yield from _retried(open, document.steps, again=again)
        case "columns" | "split" if not again:
            raise Refused("column-oriented JSON cannot be read from standard input: use a file")
        case "columns":
            yield from _columns(open)
        case "split":
            yield from _split(open)
        case _:
            assert_never(document.kind)


def _beginning(head: bytes) -> tuple[Any, list[tuple[tuple[str, ...], dict[str, Any]]]]:
    """The first value, perhaps incomplete, and the complete objects with their steps."""
    root: Any = None
    objects: list[tuple[tuple[str, ...], dict[str, Any]]] = []
    stack: list[Any] = []
    keys: list[str] = []
    try:
        for event, value in ijson.basic_parse(Finite(BytesIO(head)), use_float=True, multiple_values=True):
            match event:
                case "map_key":
                    keys[-1] = value
                case "start_map" | "start_array":
                    made: Any = {} if event == "start_map" else []
                    _put(stack, keys, made)
                    root = made if root is None else root
                    stack.append(made)
                    keys.append("" if event == "start_map" else "[]")
                case "end_map" | "end_array":
                    done = stack.pop()
                    keys.pop()
                    if event == "end_map" and len(stack) <= DEPTH:
                        objects.append((_steps(stack, keys), done))
                case _:
                    _put(stack, keys, value)
    except ijson.JSONError:
        pass  # the head is truncated
    return root, objects


def _steps(stack: list[Any], keys: list[str]) -> tuple[str, ...]:
    return tuple(
        key if isinstance(inside, list) or key in NAMED else "*" for inside, key in zip(stack, keys, strict=True)
    )


def _put(stack: list[Any], keys: list[str], value: Any) -> None:
    if not stack:
        return
    if isinstance(stack[-1], list):
        stack[-1].append(value)
    else:
        stack[-1][keys[-1]] = value


def _lists(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, list) for one in value)


def _retried(open: Open, steps: tuple[str, ...], *, again: bool) -> Iterator[Row]:
    """Read again with NaN replaced if it stops the parser: pandas writes NaN, which is not JSON."""
    number = 0
    try:
        with open() as data:
            for number, (key, value) in enumerate(_objects(data, steps), start=1):
                yield Row(number, value, _name(key, number))
    except ijson.JSONError:
        if not again:
            raise
        with open() as data:
            for later, (key, value) in enumerate(_objects(Finite(data), steps), start=1):
                if later > number:
                    yield Row(later, value, _name(key, later))


def _name(key: str | None, number: int) -> str | None:
    """A row's key, unless it is only the row's index, as pandas writes it."""
    return None if key == str(number - 1) else key


def _objects(data: Any, steps: tuple[str, ...]) -> Iterator[tuple[str | None, Any]]:
    match steps:
        case ():
            yield from ((None, value) for value in ijson.items(data, "", use_float=True, multiple_values=True))
        case ("[]",):
            yield from ((None, value) for value in ijson.items(data, "item", use_float=True))
        case ("*",):
            yield from ijson.kvitems(data, "", use_float=True)
        case _:
            yield from _nested(data, steps)


def _nested(data: Any, steps: tuple[str, ...]) -> Iterator[tuple[str | None, Any]]:
    """Objects at the end of these steps, with the name of their field; objects in between are not rows."""
    path: list[str] = []
    events = iter(ijson.basic_parse(data, use_float=True))
    for event, value in events:
        if event == "map_key":
            path[-1] = value
        elif event == "start_map" and _matches(path, steps):
            yield path[-1] if steps[-1] == "*" else None, _value(event, value, events)
        elif event in ("start_map", "start_array"):
            path.append("" if event == "start_map" else "[]")
        elif event in ("end_map", "end_array"):
            path.pop()


def _matches(path: list[str], steps: tuple[str, ...]) -> bool:
    if len(path) != len(steps):
        return False
    return all(step == key or (step == "*" and key != "[]") for key, step in zip(path, steps, strict=True))


def _columns(open: Open) -> Iterator[Row]:
    """Reads with one cursor per column: parses the file once per column, and holds no column."""
    with ExitStack() as stack:
        with open() as data:
            listed = dict(_top(data))
        cursors = {
            name: _cursor(stack.enter_context(open()), name, kind)
            for name, kind in listed.items()
            if kind in ("start_map", "start_array")
        }
        for number, cells in enumerate(zip(*cursors.values(), strict=False), start=1):
            keys = {key for key, _ in cells}
            if len(keys) > 1:
                yield Row(number, Unfit("row", f"its columns have different keys: {', '.join(sorted(keys))}"))
                return
            yield Row(
                number,
                {name: value for name, (_, value) in zip(cursors, cells, strict=True)},
                _name(keys.pop(), number),
            )
        if left := [name for name, cursor in cursors.items() if next(cursor, None) is not None]:
            yield Row(number + 1, Unfit("row", f"columns of different lengths: {', '.join(left)} have more rows"))


def _top(data: IO[bytes]) -> Iterator[tuple[str, str]]:
    """The fields of a document, with the first event of their values."""
    depth, key = 0, ""
    for event, value in ijson.basic_parse(Finite(data), use_float=True):
        if depth == 1 and event == "map_key":
            key = value
        elif depth == 1 and event != "end_map":
            yield key, event
        depth += (event in ("start_map", "start_array")) - (event in ("end_map", "end_array"))


def _cursor(data: IO[bytes], name: str, kind: str) -> Iterator[tuple[str, Any]]:
    """The cells of a column, by key or index."""
    steps = (name,)
    path: list[str] = []
    events = iter(ijson.basic_parse(Finite(data), use_float=True))
    for event, value in events:
        if event == "map_key" and len(path) == 1:
            path[-1] = value
        elif event == kind and tuple(path) == steps:
            yield from _cells(events, named=kind == "start_map")
            return
        elif event in ("start_map", "start_array"):
            path.append("")
        elif event in ("end_map", "end_array"):
            path.pop()


def _cells(events: Iterator[tuple[str, Any]], *, named: bool) -> Iterator[tuple[str, Any]]:
    place, key = 0, ""
    for event, value in events:
        if event == "map_key":
            key = value
        elif event in ("end_map", "end_array"):
            return
        else:
            yield (key if named else str(place)), _value(event, value, events)
            place += 1


def _value(event: str, value: Any, events: Iterator[tuple[str, Any]]) -> Any:
    """The value that begins with this event."""
    if event not in ("start_map", "start_array"):
        return value
    builder, depth = ijson.ObjectBuilder(), 1
    builder.event(event, None)
    while depth:
        event, value = next(events)
        builder.event(event, value)
        depth += (event in ("start_map", "start_array")) - (event in ("end_map", "end_array"))
    return builder.value


def _split(open: Open) -> Iterator[Row]:
    with open() as data:
        names = next(ijson.items(Finite(data), "columns"), None)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused("its columns have no names")
    with open() as data:
        for number, cells in enumerate(ijson.items(Finite(data), "data.item", use_float=True), start=1):
            if isinstance(cells, list) and len(cells) == len(names):
                yield Row(number, dict(zip(names, cells, strict=True)))
            else:
                yield Row(number, Unfit("row", f"must have {len(names)} cells, as there are columns"))

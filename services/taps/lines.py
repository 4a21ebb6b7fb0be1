"""Formats messages as lines of JSON, filters them, and parses lines. Pure.

    {"topic": …, "partition": …, "offset": …, "timestamp": "2026-05-17T09:30:00.123Z", "key": …, "value": {…}}

`value` is the message's JSON, unchanged. In dead-letter topics a line also has `dead_letter`, the reason, and `value`
is the original message. If a message breaks its topic's contract, `unreadable` has the reason, and `value` is its JSON
if it is JSON, else null.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from services.contracts.base import Message
from services.contracts.codec import Malformed, UnknownVersion, decode, loads
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.contracts.schemas import MESSAGES
from services.contracts.topics import CURRENT, RECIPES, topics
from services.core.messages import ConsumedRecord

Line = dict[str, Any]

REMEMBERED = 1_000_000
"""Messages among which repeats are recognised, some 150 MB. Repeats occur within a worker's restart, far sooner."""


@dataclass(frozen=True)
class Wanted:
    """A filter of messages; all given conditions must hold."""

    since: datetime | None = None
    case: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    """Fields of the value by dotted path, and their required values: text unchanged, other values as JSON. For a list,
    any item may match: ("paths.alias", "qwen"), ("gold_disputed", "true"), ("dead_letter.kind", "poison")."""

    def takes(self, line: Line) -> bool:
        """Whether a line matches."""
        if self.since is not None and datetime.fromisoformat(line["timestamp"]) < self.since:
            return False
        if self.case is not None and line["key"] != self.case:
            return False
        value = line["value"] if isinstance(line["value"], dict) else {}
        fields = {**value, "dead_letter": line.get("dead_letter")}
        return all(_is(fields, path.split("."), wanted) for path, wanted in self.where)


@dataclass
class Repeats:
    """Recognises messages with the same topic, key and bytes as an earlier one."""

    remembered: int = REMEMBERED
    _seen: dict[bytes, None] = field(default_factory=dict)

    def again(self, message: ConsumedRecord) -> bool:
        """Whether the message is a repeat. Never in a compacted topic, where a key may return to an earlier value."""
        if topics()[message.topic].compacted:
            return False
        digest = _digest(message)
        again = digest in self._seen
        self._seen[digest] = None
        if len(self._seen) > self.remembered:
            del self._seen[next(iter(self._seen))]
        return again


async def tap(
    messages: AsyncIterable[ConsumedRecord], wanted: Wanted, *, repeats: bool = False, limit: int | None = None
) -> AsyncGenerator[Line, None]:
    """The matching lines in order, at most `limit`; without repeats, unless `repeats`."""
    before, left = Repeats(), limit
    async for message in messages:
        if left == 0:
            return
        if (repeats or not before.again(message)) and wanted.takes(row := line(message)):
            yield row
            left = None if left is None else left - 1
            if left == 0:  # return now: the next message of a followed topic may take long
                return


def line(message: ConsumedRecord) -> Line:
    """A message as a line; an unreadable one has the reason."""
    at = datetime.fromtimestamp(message.timestamp_ms / 1000, UTC)
    row: Line = {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "key": None if message.key is None else message.key.decode(errors="replace"),
        "value": None,
    }
    try:
        row["value"] = loads(message.value or b"")
        if topics()[message.topic].message == "dead_letter":
            row["dead_letter"] = loads(message.headers.get(DEAD_LETTER_HEADER, b""))
        _check(message)
    except (Malformed, UnknownVersion) as error:
        row["unreadable"] = str(error)
    return row


def rendered(row: Line) -> bytes:
    """A line as bytes, with its newline."""
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # orjson reads 1,024 levels and writes 254
        return rendered({**row, "value": None, "dead_letter": None, "unreadable": "nested too deeply"})


def read_lines(lines: Iterable[bytes]) -> Iterator[ConsumedRecord]:
    """Parse lines that `reasonmed tap` printed, for analyses without Kafka; skips unreadable messages. Raises Malformed
    for any other line."""
    for number, text in enumerate(lines, start=1):
        try:
            row = loads(text)
            if "unreadable" not in row:
                yield _message(row)
        except (Malformed, KeyError, TypeError, ValueError) as error:
            raise Malformed(f"line {number} is none of `reasonmed tap`'s") from error


def _message(row: Line) -> ConsumedRecord:
    letter = row.get("dead_letter")
    return ConsumedRecord(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        key=None if row["key"] is None else row["key"].encode(),
        value=orjson.dumps(row["value"]),
        headers={} if letter is None else {DEAD_LETTER_HEADER: orjson.dumps(letter)},
        timestamp_ms=round(datetime.fromisoformat(row["timestamp"]).timestamp() * 1000),
    )


def _check(message: ConsumedRecord) -> None:
    """Raises Malformed, UnknownVersion if the message breaks its topic's contract."""
    if message.topic == RECIPES and message.key == CURRENT.encode():
        return
    kind = MESSAGES[topics()[message.topic].message]
    assert issubclass(kind, Message)  # topics contain messages
    decode(kind, message.headers[DEAD_LETTER_HEADER] if kind is DeadLetter else message.value or b"")


def _is(value: Any, path: list[str], wanted: str) -> bool:
    if isinstance(value, list):
        return any(_is(item, path, wanted) for item in value)
    if path:
        return isinstance(value, dict) and path[0] in value and _is(value[path[0]], path[1:], wanted)
    return value == wanted if isinstance(value, str) else orjson.dumps(value).decode() == wanted


def _digest(message: ConsumedRecord) -> bytes:
    """Includes a dead letter's reason, since the same message may become another dead letter; other headers do not
    count."""
    parts = (message.topic.encode(), message.key, message.value, message.headers.get(DEAD_LETTER_HEADER))
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(b"-" if part is None else len(part).to_bytes(8) + part)
    return digest.digest()

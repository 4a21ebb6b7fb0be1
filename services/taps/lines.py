"""A message as a line of JSON, which of them are wanted, and lines read back. Pure.

    {"topic": …, "partition": …, "offset": …, "timestamp": "2026-05-17T09:30:00.123Z", "key": …, "value": {…}}

`value` is the message's JSON as it came. A line has `dead_letter` too, why a message is dead, in the topics of dead
letters (where `value` is the message that died); and `unreadable`, why, where the message is none of its topic's
contract: `value` is then whatever JSON there was, null for none.
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
"""Messages among which a repeat is recognised, some 150 MB: repeats come within a worker's restart, far sooner."""


@dataclass(frozen=True)
class Wanted:
    """Which messages are wanted: all that is given must hold."""

    since: datetime | None = None
    case: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    """Fields of the value by dotted path, and what they must be: text as it is, all else as JSON writes it. Of a list
    any item will do: ("paths.alias", "qwen"), ("gold_disputed", "true"), ("dead_letter.kind", "poison")."""

    def takes(self, line: Line) -> bool:
        """Whether a line is wanted."""
        if self.since is not None and datetime.fromisoformat(line["timestamp"]) < self.since:
            return False
        if self.case is not None and line["key"] != self.case:
            return False
        value = line["value"] if isinstance(line["value"], dict) else {}
        fields = {**value, "dead_letter": line.get("dead_letter")}
        return all(_is(fields, path.split("."), wanted) for path, wanted in self.where)


@dataclass
class Repeats:
    """Recognises a message that came before under the same key with the same bytes, in the same topic."""

    remembered: int = REMEMBERED
    _seen: dict[bytes, None] = field(default_factory=dict)

    def again(self, message: ConsumedRecord) -> bool:
        """Whether it is a repeat. Never in a compacted topic, where a key may well return to what it was."""
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
    """The lines that are wanted, in order, at most `limit` of them; without repeats, unless those are asked for."""
    before, left = Repeats(), limit
    async for message in messages:
        if left == 0:
            return
        if (repeats or not before.again(message)) and wanted.takes(said := line(message)):
            yield said
            left = None if left is None else left - 1
            if left == 0:  # at once: the next message of a topic that is followed may be long in coming
                return


def line(message: ConsumedRecord) -> Line:
    """A message as a line; one that can't be read says why."""
    at = datetime.fromtimestamp(message.timestamp_ms / 1000, UTC)
    said: Line = {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "key": None if message.key is None else message.key.decode(errors="replace"),
        "value": None,
    }
    try:
        said["value"] = loads(message.value or b"")
        if topics()[message.topic].message == "dead_letter":
            said["dead_letter"] = loads(message.headers.get(DEAD_LETTER_HEADER, b""))
        _check(message)
    except (Malformed, UnknownVersion) as error:
        said["unreadable"] = str(error)
    return said


def rendered(said: Line) -> bytes:
    """A line's bytes, with its end."""
    try:
        return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # orjson reads 1,024 levels and writes 254
        return rendered({**said, "value": None, "dead_letter": None, "unreadable": "nested too deeply"})


def read_lines(lines: Iterable[bytes]) -> Iterator[ConsumedRecord]:
    """The messages of lines that `reasonmed tap` printed, for analyses without Kafka; without those that can't be
    read. Raises Malformed where a line is no such line."""
    for number, text in enumerate(lines, start=1):
        try:
            said = loads(text)
            if "unreadable" not in said:
                yield _message(said)
        except (Malformed, KeyError, TypeError, ValueError) as error:
            raise Malformed(f"line {number} is none of `reasonmed tap`'s") from error


def _message(said: Line) -> ConsumedRecord:
    letter = said.get("dead_letter")
    return ConsumedRecord(
        topic=said["topic"],
        partition=said["partition"],
        offset=said["offset"],
        key=None if said["key"] is None else said["key"].encode(),
        value=orjson.dumps(said["value"]),
        headers={} if letter is None else {DEAD_LETTER_HEADER: orjson.dumps(letter)},
        timestamp_ms=round(datetime.fromisoformat(said["timestamp"]).timestamp() * 1000),
    )


def _check(message: ConsumedRecord) -> None:
    """Raises Malformed, UnknownVersion where the message is none of its topic's contract."""
    if message.topic == RECIPES and message.key == CURRENT.encode():
        return
    kind = MESSAGES[topics()[message.topic].message]
    assert issubclass(kind, Message)  # what a topic holds is a message
    decode(kind, message.headers[DEAD_LETTER_HEADER] if kind is DeadLetter else message.value or b"")


def _is(value: Any, path: list[str], wanted: str) -> bool:
    if isinstance(value, list):
        return any(_is(item, path, wanted) for item in value)
    if path:
        return isinstance(value, dict) and path[0] in value and _is(value[path[0]], path[1:], wanted)
    return value == wanted if isinstance(value, str) else orjson.dumps(value).decode() == wanted


def _digest(message: ConsumedRecord) -> bytes:
    """A dead letter's reason counts as well: the same message may die again. Other headers are transport's."""
    parts = (message.topic.encode(), message.key, message.value, message.headers.get(DEAD_LETTER_HEADER))
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(b"-" if part is None else len(part).to_bytes(8) + part)
    return digest.digest()

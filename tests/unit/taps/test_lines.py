"""What `reasonmed tap` prints, and which of it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given

from services.contracts.base import Message
from services.contracts.codec import Malformed, encode
from services.contracts.dead import DEAD_LETTER_HEADER
from services.contracts.schemas import MESSAGES
from services.contracts.topics import CASE_MEDIUM, CURRENT, PATHS_VERIFIED, RECIPES, topics
from services.core.messages import ConsumedRecord
from services.protogen.examples import examples
from services.taps.lines import Repeats, Wanted, line, read_lines, rendered, tap
from tests.strategies import json_values

EXAMPLES = examples()
CASE = encode(EXAMPLES["case"])
CASE_ID = orjson.loads(CASE)["case_id"]
AT = datetime(2026, 5, 17, 9, 30, 0, 123_000, tzinfo=UTC)


def message(
    topic: str = PATHS_VERIFIED, value: bytes | None = CASE, *, offset: int = 0, **fields: Any
) -> ConsumedRecord:
    given = {"key": CASE_ID.encode(), "headers": {}, "timestamp_ms": round(AT.timestamp() * 1000), **fields}
    return ConsumedRecord(topic=topic, partition=3, offset=offset, value=value, **given)


def dead(value: bytes = CASE, **changes: Any) -> ConsumedRecord:
    reason = EXAMPLES["dead_letter"].with_(**changes)
    return message("router-dead", value, headers={DEAD_LETTER_HEADER: encode(reason)})


def tapped(*messages: ConsumedRecord, wanted: Wanted | None = None, **options: Any) -> list[int]:
    """The offsets of what comes through."""

    async def arriving() -> AsyncIterator[ConsumedRecord]:
        for each in messages:
            yield each

    async def run() -> list[int]:
        return [said["offset"] async for said in tap(arriving(), wanted or Wanted(), **options)]

    return asyncio.run(run())


def test_a_line_says_where_and_when_and_what() -> None:
    assert line(message(offset=7)) == {
        "topic": PATHS_VERIFIED,
        "partition": 3,
        "offset": 7,
        "timestamp": "2026-05-17T09:30:00.123Z",
        "key": CASE_ID,
        "value": orjson.loads(CASE),
    }


@pytest.mark.parametrize(
    "topic", [topic for topic in topics().values() if topic.message != "dead_letter"], ids=lambda topic: topic.name
)
def test_every_topic_can_be_tapped_and_read_back(topic: Any) -> None:
    assert issubclass(MESSAGES[topic.message], Message)
    original = message(topic.name, encode(EXAMPLES[topic.message]))
    assert "unreadable" not in line(original)
    assert list(read_lines([rendered(line(original))])) == [original]


def test_a_dead_letter_says_why_it_is_dead_beside_what_died() -> None:
    said = line(dead())
    assert said["dead_letter"]["kind"] == "too_many_unknown"
    assert said["value"]["case_id"] == CASE_ID
    assert list(read_lines([rendered(said)])) == [dead()]


def test_the_id_of_the_current_recipe_is_readable() -> None:
    said = line(message(RECIPES, b'"recipe-1"', key=CURRENT.encode()))
    assert (said["value"], "unreadable" in said) == ("recipe-1", False)


@pytest.mark.parametrize(
    ("value", "shown", "why"),
    [
        (b"\xff not JSON", None, "not JSON"),
        (None, None, "not JSON"),
        (b"[1]", [1], "a JSON object"),
        (b'{"version": "1.0"}', {"version": "1.0"}, "case_id"),
        (b'{"version": "2.0", "new": true}', {"version": "2.0", "new": True}, "schema version 2.0"),
    ],
)
def test_unreadable_messages_are_shown_with_the_reason(value: bytes | None, shown: Any, why: str) -> None:
    said = line(message(value=value))
    assert said["value"] == shown
    assert why in said["unreadable"]


def test_a_dead_letter_without_its_reason_is_unreadable() -> None:
    assert "unreadable" in line(message("router-dead"))


def test_too_deeply_nested_messages_are_lines_too() -> None:
    deep = b'{"version":"1.0","a":' + b"[" * 400 + b"]" * 400 + b"}"
    said = orjson.loads(rendered(line(message(value=deep))))
    assert (said["value"], said["offset"]) == (None, 0)
    assert said["unreadable"]


@given(json_values)
def test_a_line_is_one_line_of_json_whatever_it_holds(value: Any) -> None:
    text = rendered(line(message(value=orjson.dumps(value))))
    assert text.count(b"\n") == 1
    assert orjson.loads(text)["value"] == value


def test_lines_that_are_not_taps_are_refused_by_number() -> None:
    with pytest.raises(Malformed, match="line 2"):
        list(read_lines([rendered(line(message())), b'{"some": "JSON"}']))


def test_unreadable_lines_are_left_out_when_read_back() -> None:
    assert list(read_lines([rendered(line(message(value=b"?"))), rendered(line(message(offset=1)))])) == [
        message(offset=1)
    ]


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ("difficulty=medium", True),
        ("difficulty=easy", False),
        ("question.answer=B", True),
        ("life=0", True),
        ("life=1", False),
        ("gold_disputed=false", True),
        ("rejected=null", True),
        ("paths.alias=deepseek", True),
        ("paths.alias=huatuo", False),
        ("paths.verdict.outcome=error", True),
        ("paths.score=null", True),
        ("paths.temperature=0.7", True),
        ("no.such.field=null", False),
        ("difficulty.deeper=medium", False),
    ],
)
def test_where_asks_for_a_field_by_its_path(condition: str, taken: bool) -> None:
    field, _, value = condition.partition("=")
    assert Wanted(where=((field, value),)).takes(line(message())) is taken


def test_where_reaches_into_the_reason_of_a_dead_letter() -> None:
    assert Wanted(where=(("dead_letter.kind", "too_many_unknown"),)).takes(line(dead()))
    assert not Wanted(where=(("dead_letter.kind", "poison"),)).takes(line(dead()))


def test_all_conditions_must_hold() -> None:
    yes, no = ("difficulty", "medium"), ("life", "1")
    assert Wanted(where=(yes, yes)).takes(line(message()))
    assert not Wanted(where=(yes, no)).takes(line(message()))


def test_since_takes_what_was_written_then_or_later() -> None:
    assert Wanted(since=AT).takes(line(message()))
    assert not Wanted(since=AT + timedelta(milliseconds=1)).takes(line(message()))


def test_of_a_case_by_its_key_even_where_the_message_is_unreadable() -> None:
    broken, other = message(value=b"?"), message(key=b"another", offset=1)
    assert tapped(broken, other, wanted=Wanted(case=CASE_ID)) == [0]


def test_a_repeat_is_dropped_unless_asked_for() -> None:
    again = [message(offset=0), message(offset=1)]
    assert tapped(*again) == [0]
    assert tapped(*again, repeats=True) == [0, 1]


def test_any_difference_makes_no_repeat() -> None:
    different = [
        message(offset=0),
        message(CASE_MEDIUM, offset=1),
        message(value=b"{}", offset=2),
        message(key=None, offset=3),
        message(value=None, offset=4),
    ]
    assert tapped(*different) == [0, 1, 2, 3, 4]
    letters = Repeats()
    assert [letters.again(each) for each in (dead(), dead(attempts=2), dead())] == [False, False, True]


def test_a_compacted_topic_has_no_repeats() -> None:
    """The current recipe may be A, then B, then A again."""
    values = [b'"A"', b'"B"', b'"A"']
    named = [message(RECIPES, value, key=b"current", offset=at) for at, value in enumerate(values)]
    assert tapped(*named) == [0, 1, 2]


def test_the_memory_for_repeats_is_bounded() -> None:
    repeats = Repeats(remembered=2)
    first, second, third = (message(value=value) for value in (b"1", b"2", b"3"))
    assert [repeats.again(each) for each in (first, second, first, third, third, second)] == [
        *(False, False, True),
        *(False, True, True),
    ]
    assert not repeats.again(first), "the oldest was forgotten"


def test_a_limit_ends_a_topic_that_is_followed_without_waiting_for_more() -> None:
    async def one_and_then_silence() -> AsyncIterator[ConsumedRecord]:
        yield message()
        await asyncio.Event().wait()

    async def run() -> int:
        return len([said async for said in tap(one_and_then_silence(), Wanted(), limit=1)])

    assert asyncio.run(asyncio.wait_for(run(), 30)) == 1

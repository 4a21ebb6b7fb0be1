"""Requests as bytes, replies read back."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.base import CaseId
from services.contracts.case import Usage
from services.contracts.recipe import Model, Sampling
from services.core.errors import Retry
from services.core.ledger.calls import Request
from services.llm import thinking, wire
from services.llm.troubles import TooLarge

USAGE = {"prompt_tokens": 30, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 16}}


def chat(content, finish="stop", usage=USAGE, **message) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return orjson.dumps({"id": "x", "choices": [choice], "usage": usage})


def test_a_request_says_all_that_decides_the_reply(request_of):
    schema = {"title": "a verdict!", "type": "object", "properties": {}}
    body = orjson.loads(wire.body(request_of(5, schema=schema)))
    assert body == {
        "model": "some-model",
        "messages": [{"role": "user", "content": "Question 5"}],
        "temperature": 0.7,
        "top_p": 1.0,
        "max_tokens": 100,
        "stream": False,
        "seed": 5,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a_verdict_", "schema": schema, "strict": True},
        },
    }
    assert "response_format" not in orjson.loads(wire.body(request_of(5)))


def test_the_headers_name_the_call_and_who_asks(request_of):
    request = request_of(5)
    headers = wire.headers(request, owner="generator-1")
    assert headers["X-Request-Id"] == request.call_id
    assert headers["X-Owner"] == "generator-1"
    assert headers["X-Stage"] == "generate"
    assert headers["X-Case-Id"] == request.case_id
    assert "Authorization" not in headers


def test_a_plain_reply(request_of):
    reply = wire.reply(request_of(), chat("Yes.\nFinal answer: A"))
    assert (reply.text, reply.thinking, reply.finish_reason) == ("Yes.\nFinal answer: A", "", "stop")
    assert reply.usage == Usage(prompt=30, completion=7, cached=16)


@pytest.mark.parametrize(
    ("given_", "read"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "other"), ("tool_calls", "other"), (None, "other")],
)
def test_finish_reasons(request_of, given_, read):
    assert wire.reply(request_of(), chat("x", given_)).finish_reason == read


@pytest.mark.parametrize(
    "usage", [b"null", b"{}", b"[]", *(b'{"prompt_tokens": %b}' % n for n in (b"-1", b"true", b"%d" % 2**70))]
)
def test_usage_that_makes_no_sense_counts_as_none(request_of, usage):
    choices = b'"choices": [{"message": {"content": "x"}}]'
    assert wire.reply(request_of(), b'{%b, "usage": %b}' % (choices, usage)).usage == Usage()
    assert wire.reply(request_of(), b"{%b}" % choices).usage == Usage()


@pytest.mark.parametrize(
    ("content", "fields", "text", "thought"),
    [
        (None, {}, "", ""),
        ("answer", {"reasoning_content": "thoughts"}, "answer", "thoughts"),
        ("answer", {"reasoning": "thoughts"}, "answer", "thoughts"),
        (None, {"reasoning_content": "thoughts"}, "", "thoughts"),
        ("<think>\nthoughts\n</think>\n\nanswer", {}, "answer", "thoughts"),
        ("\n <think></think>answer", {}, "answer", ""),
        ("<think>cut off in mid-thou", {}, "", "cut off in mid-thou"),
        ("thoughts, begun in the prompt</think>\nanswer", {}, "answer", "thoughts, begun in the prompt"),
        ("<think>more</think>answer", {"reasoning_content": "some"}, "answer", "some\nmore"),
        ("an answer on <think>tags</think>", {}, "an answer on <think>tags</think>", ""),
        ("", {}, "", ""),
    ],
)
def test_thinking_is_kept_apart(request_of, content, fields, text, thought):
    reply = wire.reply(request_of(), chat(content, "length", **fields))
    assert (reply.text, reply.thinking) == (text, thought)


_SIGNS_OF_MARKS = ("<", "THINK]", "◁", "assistantfinal", "final response")
unmarked = st.text().filter(lambda text: not any(sign.lower() in text.lower() for sign in _SIGNS_OF_MARKS))


@given(unmarked)
def test_a_text_without_thinking_is_left_as_it_is(text):
    assert thinking.split(text) == ("", text)


@given(unmarked, unmarked)
def test_thinking_and_text_come_apart_again(thought, text):
    assert thinking.split(f"<think>{thought}</think>{text}") == (thought.strip(), text.lstrip())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"choices": []}',
        b'{"choices": {}}',
        b'{"choices": [null]}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": "x"}]}',
        b'{"choices": [{"message": {"content": 5}}]}',
        chat("half a reply")[:-20],
    ],
)
def test_a_broken_reply_is_asked_for_again_and_not_quoted(request_of, data):
    with pytest.raises(Retry) as caught:
        wire.reply(request_of(), data)
    assert "half" not in repr(caught.value)
    assert caught.value.__cause__ is None


@given(st.binary(max_size=200))
def test_no_bytes_are_a_surprise(data):
    request = Request(CaseId("case"), "verify", "a", Model(served="m"), "p", Sampling(temperature=0, max_tokens=9), 1)
    with pytest.raises(Retry):
        wire.reply(request, data)


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_a_text_beyond_its_bound_is_too_large_and_says_what_it_cost(request_of, letter):
    fits = letter * (600 // len(letter.encode()))
    assert wire.reply(request_of(), chat(fits)).text == fits
    with pytest.raises(TooLarge) as caught:
        wire.reply(request_of(), chat(fits + letter))
    assert caught.value.usage == Usage(prompt=30, completion=7, cached=16)
    assert letter * 5 not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "thinking", "text"),
    [
        ("<reflection>Hm.</reflection>\nFinal answer: A", "Hm.", "Final answer: A"),
        ("Hm.</reflection>Final answer: A", "Hm.", "Final answer: A"),
        ("<reflection>Hm. It was cut", "Hm. It was cut", ""),
        ("Final answer: A", "", "Final answer: A"),
        ("<think>Hm.</think>Final answer: A", "Hm.", "Final answer: A"),
    ],
)
def test_thinking_between_the_recipes_own_marks(request_of, content: str, thinking: str, text: str) -> None:
    model = Model(served="some-model", thinking=("<reflection>", "</reflection>"))
    reply = wire.reply(request_of(model=model), chat(content))
    assert (reply.thinking, reply.text) == (thinking, text)

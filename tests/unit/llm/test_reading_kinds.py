"""Thinking, contents, finish reasons, usage and bodies, as servers and models of many makers write them."""

from typing import Any

import orjson
import pytest

from services.contracts.recipe import Sampling
from services.core.errors import Retry
from services.core.ledger.calls import Reply
from services.llm import finish, thinking, wire

LAST_EVENT = b'data: {"choices":[{"delta":{"content":"xt"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n'
LONG = Sampling(temperature=0.7, max_tokens=1_000)
VERDICT = '{"verdict": "Correct", "reason": "r"}'


def body(message: Any, finish_reason: Any = "stop", **more: Any) -> bytes:
    return orjson.dumps({"choices": [{"message": message, "finish_reason": finish_reason}], **more})


@pytest.mark.parametrize(
    ("content", "thought", "text"),
    [
        ("<think>a</think>\n</think>\nText", "a", "Text"),
        ("<think>a</think>\n<think>b</think>\nText", "a\nb", "Text"),
        ("a</think>b</think>Text", "a\nb", "Text"),
        ("<think>a</think>Text</think>", "a", "Text"),
        ("<think>\na</thinking>Text", "a", "Text"),
        ("<thought>a</thought>Text", "a", "Text"),
        ("<seed:think>a</seed:think>Text", "a", "Text"),
        ("◁think▷a◁/think▷Text", "a", "Text"),
        ("<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>Text<|end_of_solution|>", "a", "Text"),
        ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>Text<|END_RESPONSE|>", "a", "Text"),
        ("[THINK]a[/THINK]\nText", "a", "Text"),
        ("## Thinking\n\na\n\n## Final Response\n\nText", "a", "Text"),
        ("**Thinking**\na\n**Final Response:**\nText", "a", "Text"),
        ("## Thinking\n\nonly a heading of the text", "", "## Thinking\n\nonly a heading of the text"),
        ("The tag <think> is a tag, </think> too.", "", "The tag <think> is a tag, </think> too."),
        ("<reasoning>Steps.</reasoning>", "", "<reasoning>Steps.</reasoning>"),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>Text<|return|>",
            "a",
            "Text",
        ),
        (
            "<|channel|>commentary<|message|>a<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>{}",
            "a",
            "{}",
        ),
        ("<|channel|>analysis<|message|>only thinking", "only thinking", ""),
        ("analysisWe think.assistantfinalText", "We think.", "Text"),
        ("analysis of the case: text", "", "analysis of the case: text"),
        ("<|im_start|>assistant\nText<|im_end|>", "", "Text"),
        ("Text<|eot_id|><|start_header_id|>user<|end_header_id|>More", "", "Text"),
        ("Text<｜end▁of▁sentence｜>", "", "Text"),
        ("p < 0.05 and <b>bold</b>", "", "p < 0.05 and <b>bold</b>"),
    ],
)
def test_thinking_and_text(content: str, thought: str, text: str) -> None:
    assert thinking.split(content) == (thought, text)


@pytest.mark.parametrize(
    ("message", "text", "thought"),
    [
        ({"content": [{"type": "text", "text": "Text"}, {"type": "image_url"}]}, "Text", ""),
        ({"content": [{"type": "output_text", "text": "Text"}]}, "Text", ""),
        ({"content": {"type": "text", "text": "Text"}}, "Text", ""),
        ({"content": [{"type": "reasoning", "text": "a"}, {"type": "text", "text": "Text"}]}, "Text", "a"),
        ({"content": [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "Text"}]}, "Text", ""),
        ({"content": "Text", "reasoning": "a", "reasoning_content": "a"}, "Text", "a"),
        ({"content": "Text", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]}, "Text", "a"),
        ({"content": "Text", "reasoning": {"summary": [{"type": "summary_text", "text": "a"}]}}, "Text", "a"),
        ({"content": "Text", "thinking_blocks": [{"type": "thinking", "thinking": "a"}]}, "Text", "a"),
        ({"content": "Text", "reasoning": 5}, "Text", ""),
        ({"content": "", "reasoning_content": "<think>a</think>Text"}, "Text", "a"),
        ({"content": None, "reasoning": "a</think>\n\nText"}, "Text", "a"),
        ({"content": None, "reasoning_content": "a"}, "", "a"),
    ],
)
def test_contents_of_every_shape(request_of: Any, message: Any, text: str, thought: str) -> None:
    reply = wire.reply(request_of(), body({"role": "assistant", **message}))
    assert (reply.text, reply.thinking) == (text, thought)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"content": {"verdict": "Correct", "reason": "r"}}, "stop"),
        ({"content": None, "reasoning": VERDICT}, "stop"),
        ({"content": "<think>" + "</think>", "reasoning_content": VERDICT}, "stop"),
        ({"content": None, "tool_calls": [{"function": {"name": "json", "arguments": VERDICT}}]}, "tool_calls"),
        ({"content": "", "function_call": {"name": "json", "arguments": VERDICT}}, "function_call"),
        ({"content": None, "tool_calls": [{"function": {"arguments": {"verdict": "Correct", "reason": "r"}}}]}, "stop"),
    ],
)
def test_json_that_was_asked_for_is_found_where_it_is(request_of: Any, message: Any, reason: str) -> None:
    reply = wire.reply(request_of(schema={"title": "verdict", "type": "object"}), body(message, reason))
    assert orjson.loads(reply.text) == orjson.loads(VERDICT)
    assert reply.finish_reason == "stop"


def test_a_tool_call_in_place_of_a_text_is_an_interruption(request_of: Any) -> None:
    call = {"content": None, "tool_calls": [{"function": {"name": "search", "arguments": "{}"}}]}
    reply = wire.reply(request_of(), body(call, "tool_calls"))
    assert (reply.text, reply.interrupted, reply.problem) == ("", True, "interrupted: finish reason tool_calls")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"content": None, "refusal": "No."}, "stop"),
        ({"content": "No."}, "refusal"),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "stop"),
    ],
)
def test_refusals(request_of: Any, message: Any, reason: str) -> None:
    reply = wire.reply(request_of(), body(message, reason))
    assert (reply.text, reply.refused, reply.problem) == ("", True, "the model refused: No.")


@pytest.mark.parametrize(
    ("said", "means"),
    [
        *((name, "whole") for name in ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "STOP", "COMPLETE")),
        ({"type": "stop", "matched": 2}, "whole"),
        *((name, "cut off") for name in ("length", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens")),
        ({"type": "length", "length": 9}, "cut off"),
        *((name, "interrupted") for name in ("abort", "error", "content_filter", "insufficient_system_resource", None)),
        *((name, "interrupted") for name in ("SAFETY", "RECITATION", "repetition", "null", "", "something")),
        (7, "interrupted"),
        ([], "interrupted"),
        ({}, "interrupted"),
    ],
)
def test_finish_reasons_mean_one_of_three(said: Any, means: str) -> None:
    assert finish.finish(said) == means
    assert finish.meant(finish.written(finish.finish(said))) == means


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'data: {"choices":[{"delta":{"content":"Te"}}]}\n\n' + LAST_EVENT, "Text"),
        (b': ping\n\nevent: x\ndata: {"choices":[{"delta":{"content":"Te"}}]}\r\n\r\n' + LAST_EVENT, "Text"),
        (b'[{"choices":[{"message":{"content":"Text"},"finish_reason":"stop"}]}]', "Text"),
        (b'{"choices":[{"text":"Text","finish_reason":"stop"}]}', "Text"),
        (b'\xef\xbb\xbf\r\n{"choices":[{"text":"Text","finish_reason":"stop","x":Infinity}]}\n\n', "Text"),
        (b'{"choices":[{"message":{"content":"T\xffxt"},"finish_reason":"stop"}]}', "T\ufffdxt"),
    ],
)
def test_bodies(request_of: Any, data: bytes, text: str) -> None:
    reply = wire.reply(request_of(), data)
    assert (reply.text, reply.finish_reason) == (text, "stop")


def test_an_event_stream_without_an_end_is_an_interruption(request_of: Any) -> None:
    assert wire.reply(request_of(), b'data: {"choices":[{"delta":{"content":"Te"}}]}').interrupted


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"<!DOCTYPE html>", "HTML"),
        (b"data: {", "event stream"),
        (b"", "empty"),
        (b"[" * 99_999, "not JSON"),
        (b"\n", "empty"),
    ],
)
def test_a_body_that_is_none_says_what_it_is(request_of: Any, data: bytes, word: str) -> None:
    with pytest.raises(Retry, match=word):
        wire.reply(request_of(), data)


@pytest.mark.parametrize(
    "text",
    [
        "the same line\n" * 100,
        "word " * 100,
        "!" * 400,
        "A. no\nB. no\n" * 100,
        "ab" * 100,
        "So. " + "的" * 200,
        "".join(f"{number}. Check the options again.\n" for number in range(120)),
        "Wait, let me check that. " * 120 + "\nFinal answer: B",
        "肝素作用于抗凝血酶。" * 120 + "\n最终答案：B",
        "A" * 2_000 + "\nFinal answer: B",
        "a " * 100 + "\nFinal answer: B",
        "the " * 101 + "\nFinal answer: B",
        "So, B. " * 100 + "But D.\nFinal answer: D",
        " ".join(f"w{number}" for number in range(12)) * 110 + "\nFinal answer: B",
    ],
    ids=lambda text: repr(text[:10]),
)
def test_a_text_that_only_repeats_itself_is_interrupted(request_of: Any, text: str) -> None:
    for reason in ("stop", "length"):
        reply = wire.reply(request_of(sampling=LONG), body({"content": "Heparin acts on " + text}, reason))
        assert (reply.interrupted, reply.problem[:32]) == (True, "interrupted: the text repeats it")


@pytest.mark.parametrize(
    "text",
    [
        "-" * 200 + "\nText",
        "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 30,
        "No. " * 20,
        " " * 5_000 + "x",
        "1, 2, 3",
        "".join(f"| {number} | 5 mg |\n" for number in range(200)) + "Text",
        "x" + "\n" * 5_000 + "Final answer: B",
    ],
    ids=lambda text: repr(text[:10]),
)
def test_rules_tables_and_lists_are_no_repetition(request_of: Any, text: str) -> None:
    reply: Reply = wire.reply(request_of(sampling=LONG), body({"content": text}))
    assert not reply.problem

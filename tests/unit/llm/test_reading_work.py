"""No text takes a reader long: work grows with the text and not with its square.

Compared is the CPU time on a text and on one four times as long: linear work takes four times as long, quadratic
sixteen times. Where the longer text takes less than SLACK_S, nothing is at stake: 49,000 colons once took 46 s.
"""

import time
from collections.abc import Callable
from contextlib import suppress

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.base import CaseId
from services.contracts.case import Usage
from services.contracts.recipe import Model, Sampling
from services.core.case.answers import final_answer, mentions_given_answer
from services.core.errors import Retry
from services.core.ledger.calls import Reply, Request
from services.evaluator.replies import rated
from services.llm import wire
from services.verifier import replies

OPTIONS = {"A": "Aspirin", "B": "Heparin"}
REQUEST = Request(
    CaseId("case"),
    "verify",
    "a",
    Model(served="m"),
    "p",
    Sampling(temperature=0, max_tokens=99_999),
    1,
    schema={"title": "t"},
)
SHORT, TIMES = 16_000, 4
SLACK_S = 0.5


def content(text: str) -> None:
    wire.reply(REQUEST, orjson.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}))


def raw(text: str) -> None:
    with suppress(Retry):
        wire.reply(REQUEST, text.encode())


def judge(text: str) -> None:
    for reader in (replies.verdict, replies.score, rated):
        reader(Reply(text, "stop", Usage()))


def answer(text: str) -> None:
    final_answer(text, OPTIONS)
    final_answer(f"Final answer: {text}", OPTIONS)
    mentions_given_answer(text)


READERS: list[Callable[[str], None]] = [content, raw, judge, answer]
PIECES = [
    "final answer",
    ":",
    "：",
    " ",
    "\n",
    "the answer is ",
    "so, ",
    ". ",
    "*",
    "_",
    "#",
    "\\boxed{",
    "\\boxed{B}",
    "{",
    "}",
    "[",
    "]",
    '{"',
    '"',
    '"answer": "B" ',
    '"answer":',
    '"verdict": "Correct", ',
    '"verdict":',
    '{"score": 1,',
    "\\",
    ",",
    "//",
    "1",
    "-",
    "<answer>",
    "<think>",
    "</think>",
    "<",
    "<|",
    "|>",
    "<|channel|>analysis<|message|>",
    "<|end|>",
    "analysis",
    "assistantfinal",
    "## Thinking\n",
    "## Final Response\n",
    "a",
    "B",
    "based on ",
    "答案",
    "the gold ",
    "$",
    "\\text{",
    "data: {}\n",
    ": x\n",
    "`",
    "&lt;think&gt;",
    "<reasoning>",
    "</reasoning>\n",
    "Final answer: B, because ",
    "'answer': '",
    "/*",
    "#",
    "|",
    '[{"verdict": ["Correct"]}, ',
    '{\\"verdict\\": ',
    "verdict: ",
    "【答案】",
]
"""What readers look for, and what patterns repeat over."""


def cpu_s(reader: Callable[[str], None], text: str) -> float:
    began = time.process_time()
    reader(text)
    return time.process_time() - began


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=3), head=st.sampled_from(["", "{", "<think>", "x "])
)
def test_work_is_linear_in_a_loop(reader: Callable[[str], None], pieces: list[str], head: str) -> None:
    loop = "".join(pieces)
    short, long = (head + loop * (size // len(loop)) for size in (SHORT, TIMES * SHORT))
    once = cpu_s(reader, long)
    if once > SLACK_S:
        assert min(once, cpu_s(reader, long)) < 2 * TIMES * max(cpu_s(reader, short), 0.001)

"""`reasonmed reply`: what is read from a server's answer, case by case, and from any file at all."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.run import reply as command
from services.cli.run.reply_fields import FIELDS, As, Asked, fields

DATA = Path(__file__).parents[2] / "data"


def cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]


CASES = cases("model_replies.jsonl")
"""After public reports on model servers; written for this project. `reply` is a whole response in Latin-1."""

MORE = cases("more_model_replies.jsonl")
"""Others of the same kinds: languages, tags, error bodies, Retry-After, damaged JSON."""

OPTIONS = {"A": "Aspirin", "B": "Heparin", "C": "Vitamin C", "D": "Warfarin"}
QUESTION = {"question": "Which of these acts on antithrombin?", "options": OPTIONS, "answer": "B"}


def read(raw: bytes, purpose: As = "generate", *, text: bool = False) -> dict[str, Any]:
    return fields(purpose, command.read(raw, purpose, as_text=text), Asked(OPTIONS, "B"))


def run(*arguments: str, input: bytes = b"") -> tuple[int, str]:
    ended = CliRunner().invoke(app, ["reply", *arguments], input=input)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended.exit_code, ended.stdout


@pytest.mark.parametrize("case", CASES + MORE, ids=lambda case: case["name"])
def test_each_case_is_read_as_it_should_be(case: dict[str, Any]) -> None:
    raw = case["text"].encode() if "text" in case else case["reply"].encode("latin-1")
    found = read(raw, case["as"], text="text" in case)
    wanted = dict(case["read"])
    trouble = dict(wanted.pop("trouble", None) or {})
    assert {name: found[name] for name in wanted} == wanted
    if not trouble:
        assert found["trouble"] is None
    else:
        words = trouble.pop("reason", ())
        assert {name: found["trouble"][name] for name in trouble} == trouble
        assert all(word in found["trouble"]["reason"] for word in words)


def test_the_cases_are_all_there() -> None:
    assert len(CASES) == 121


@pytest.mark.parametrize("purpose", ["generate", "verify", "score", "evaluate"])
def test_the_json_has_always_the_same_fields(tmp_path: Path, purpose: str) -> None:
    for number, raw in enumerate(
        [b"", b"{}", b"\x00\xff" * 99, b"HTTP/1.1 503 X\r\nRetry-After: 7\r\n\r\n", b"<html>"]
    ):
        (tmp_path / f"{number}").write_bytes(raw)
        for more in ([], ["--text"]):
            code, out = run(str(tmp_path / f"{number}"), "--as", purpose, "--json", *more)
            assert code == 0
            assert tuple(json.loads(out)) == FIELDS


def test_a_question_file_or_a_letter_says_what_is_gold(tmp_path: Path) -> None:
    (tmp_path / "reply.txt").write_text("It is heparin.\nFinal answer: Heparin")
    for number, row in enumerate(
        [
            QUESTION,
            {"question": QUESTION},
            [QUESTION],
            {**QUESTION, "options": list(OPTIONS.values()), "answer": "Heparin"},
        ]
    ):
        (tmp_path / f"{number}.json").write_bytes(orjson.dumps(row))
        _, out = run(str(tmp_path / "reply.txt"), "--text", "--question", str(tmp_path / f"{number}.json"), "--json")
        assert (json.loads(out)["stated"], json.loads(out)["verdict"]) == ("B", None)
    (tmp_path / "reply.txt").write_text("Final answer: C. Vitamin C")
    _, out = run(str(tmp_path / "reply.txt"), "--text", "--gold", "b", "--json")
    assert (json.loads(out)["stated"], json.loads(out)["verdict"]) == ("C", "error")


def test_a_letter_that_is_not_offered_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "question.json").write_bytes(orjson.dumps({"options": {"A": "yes", "B": "no"}, "answer": "A"}))
    code, out = run("-", "--text", "--question", str(tmp_path / "question.json"), "--json", input=b"Final answer: C")
    assert code == 0
    found = json.loads(out)
    assert (found["stated"], found["outside"], found["verdict"]) == (None, "C", "error")


@pytest.mark.parametrize(
    ("name", "content"),
    [("missing", None), ("question.json", b"not JSON"), ("question.json", b'{"options": {}}'), ("question.json", b"7")],
)
def test_a_file_that_is_no_question_is_an_error_in_a_sentence(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    ended = CliRunner().invoke(app, ["reply", "-", "--question", str(tmp_path / name)], input=b"")
    assert ended.exit_code == 1
    assert CliRunner().invoke(app, ["reply", str(tmp_path)], input=b"").exit_code == 1


def test_on_a_screen_only_what_says_something_is_shown() -> None:
    code, out = run("-", input=b"HTTP/1.1 429 Too Many Requests\r\nretry-after-ms: 1500\r\n\r\n{}")
    assert code == 0
    assert "retry_after_s  1.5" in out
    assert "None" not in out


@given(
    raw=st.binary(max_size=400), head=st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/2 500\n\n", b"data: ", b"{"])
)
def test_no_bytes_are_a_surprise(raw: bytes, head: bytes) -> None:
    for text in (False, True):
        assert tuple(read(head + raw, text=text)) == FIELDS


def chunked(data: bytes, size: int) -> bytes:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@given(size=st.integers(1, 60))
def test_chunks_are_joined_and_interim_responses_passed_over(size: int) -> None:
    body = orjson.dumps({"choices": [{"message": {"content": "Final answer: B"}, "finish_reason": "stop"}]})
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for raw in (
        head + chunked(body, size),
        b"HTTP/1.1 100 Continue\r\n\r\n" + head + chunked(body, size),
        head + body,
        body,
    ):
        assert read(raw)["stated"] == "B"
    broken = read((head + chunked(body, size))[: len(head) + size // 2 + 1])
    assert broken["trouble"] is not None

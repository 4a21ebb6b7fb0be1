"""`reasonmed reply`: what the system reads from a model server's answer. Needs no Kafka and no server."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer

from services.cli.console import Failed, Json, emit, out
from services.cli.run import http_file, reply_fields
from services.cli.run.question_file import options_and_gold
from services.cli.run.reply_fields import Asked
from services.contracts.base import CaseId
from services.contracts.question import LETTERS
from services.contracts.recipe import Model, Sampling
from services.core.case.answers import Options
from services.core.errors import Retry, Trouble
from services.core.ledger.calls import Reply, Request
from services.llm import reading, wire

As = Literal["generate", "verify", "score", "evaluate"]

STDIN = "-"

FILE_BYTES = 64 * 1024 * 1024
"""Of a larger file only the beginning is read: no reply is half as large."""

MAX_TOKENS = 8_192
"""What the reply's bounds in bytes follow from: a recipe's default for paths."""


def reply(
    file: Annotated[str, typer.Argument(help="A file with the server's answer, or - for standard input.")],
    purpose: Annotated[As, typer.Option("--as", help="Which stage the request was for.")] = "generate",
    text: Annotated[bool, typer.Option("--text", help="The file holds the message's text alone.")] = False,
    question: Annotated[
        Path | None, typer.Option(help="A JSON file with the question: options and, if known, answer.")
    ] = None,
    gold: Annotated[str | None, typer.Option(help="The gold answer's letter, where there is no question file.")] = None,
    json: Json = False,
) -> None:
    """Show what is read from a model server's reply, and whose trouble it would be where it is none.

    FILE is a whole HTTP response (as `curl -i` writes it), its body, or with --text the message's text. --as says what
    was asked for: generate reads the stated answer, verify a verdict, score a score from 0 to 5, evaluate four ratings
    from 1 to 10. The exit code is 0 whatever the reply says, and 1 where a file can't be read.

    --json prints one object, always with these fields, null where there is nothing to say:

    as; text; thinking; finish (whole, cut off, interrupted); finish_reason (as messages have it: stop, length, other);
    problem (why there is no usable text, or nothing could be read); refusal; stated (an option's letter); outside (a
    stated answer that is no option); verdict (correct, error, unjudged; of a path: without a judge's word, null where
    the judge decides); reason; score; justification; ratings (clinical_accuracy, logic, factual_correctness,
    completeness); usage (prompt, completion, cached tokens); trouble.

    trouble is null for a reply, and else: kind (busy, operator, time-out, failed, refused: services/llm/trouble_table);
    error (ModelAway, Busy, Refuses, Retry, TimedOut, Reject, TooLarge); reason; whose (server, operator, call: as far
    as this reply alone tells); if_others_fail and if_others_succeed (what becomes of the call, by what the server's
    other recent calls did); retry_after_s.

    Example:  reasonmed reply answer.http --as verify --json
    """
    asked = _asked(question, gold)
    found = read(_bytes(file), purpose, as_text=text)
    shown = reply_fields.fields(purpose, found, asked)
    emit(shown) if json else _print(shown)


def _bytes(file: str) -> bytes:
    if file == STDIN:
        return sys.stdin.buffer.read(FILE_BYTES)
    try:
        with open(file, "rb") as opened:
            return opened.read(FILE_BYTES)
    except IsADirectoryError:
        raise Failed(f"{file} is a folder: name a file that holds one reply") from None


def _asked(file: Path | None, gold: str | None) -> Asked:
    """Options and gold answer, as far as they are known."""
    options: Options
    options, answer = (dict.fromkeys(LETTERS), None) if file is None else options_and_gold(file)
    letter = (gold or answer or "").strip().upper()
    if letter and letter not in options:
        raise Failed(f"the gold answer {letter[:20]} is none of the letters {', '.join(options)}")
    return Asked(options, letter or None)


def read(raw: bytes, purpose: As, *, as_text: bool) -> Reply | Trouble:
    request = _request(purpose)
    if as_text:
        return _message(request, raw)
    answer = http_file.parse(raw, wire.body_bound(request))
    try:
        if answer.size > wire.body_bound(request):
            raise wire.too_large(request)
        if answer.broken:
            raise Retry(f"the connection broke: {answer.broken}")
        return reading.read(request, answer.status, answer.headers, answer.data, now=time.time())
    except Trouble as trouble:
        return trouble


def _message(request: Request, raw: bytes) -> Reply | Trouble:
    """The reply whose message has this text."""
    text = raw.decode("utf-8-sig", "replace")
    try:
        return wire.reply(request, orjson.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}))
    except Trouble as trouble:
        return trouble


def _request(purpose: As) -> Request:
    """Any request of this stage: nothing of it but its bounds and its form matters."""
    sampling = Sampling(temperature=0, max_tokens=MAX_TOKENS)
    schema = None if purpose == "generate" else {"title": purpose, "type": "object"}
    return Request(CaseId("case"), purpose, "alias", Model(served="model"), "prompt", sampling, 0, schema=schema)


def _print(shown: Mapping[str, Any]) -> None:
    """One line a field, without those that say nothing."""
    trouble = shown["trouble"] or {}
    fields = {**shown, "trouble": None, **{f"trouble {name}": value for name, value in trouble.items()}}
    for name, value in fields.items():
        if value not in (None, ""):
            out.print(f"{name:>24}  {value}", markup=False, highlight=False, soft_wrap=True)

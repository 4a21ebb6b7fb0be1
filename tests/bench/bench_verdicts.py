"""What the verifier makes of a small real model's replies when nothing constrains them: no schema is sent.

    .venv/bin/python tests/bench/bench_verdicts.py [--replies 16] [--save replies.jsonl.gz]

Half are verdicts, half scores: the demo recipe's prompts on the sample questions with scripted paths, at its own
temperature and at others, some replies cut short. Prints JSON, of each kind: replies; crashed; read (a verdict, a
score), and of these repaired (no JSON as they came); unjudged; not_held: read, but not what the text says by a look of
this file's own, which must be 0. `tests/data/judge_replies.jsonl.gz` holds the replies of one run with --replies 500.
"""

import argparse
import asyncio
import gzip
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from services.contracts.case import Stage, Usage
from services.contracts.question import Submission
from services.contracts.recipe import Task
from services.core import ids
from services.core.case import prompts
from services.core.case.requests import request
from services.core.endpoint import Endpoint
from services.core.ledger.calls import Reply, Request
from services.llm.client import ChatClient
from services.llm.scripted import known, texts
from services.local.servers.small_model import DEFAULT_SLOTS, ModelServer
from services.recipes import load
from services.router.admission import new_case
from services.verifier import replies

Kind = Literal["verdict", "score"]
Said = tuple[Kind, str]
"""What was asked for, and the reply's text."""

TEMPERATURES = (0.2, 0.7, 1.0, 1.3)
"""Beside the recipe's 0.7, colder and hotter: the hotter, the more is broken."""
MAX_TOKENS = (120, 60, 40, 24)
"""The recipe's 120, and fewer: at 24 nearly all that is JSON is cut off within the object."""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=int, default=16)
    parser.add_argument("--save", type=Path, help="where the replies go, as gzip-compressed JSON lines")
    options = parser.parse_args()
    said = await asked(requests(options.replies))
    if options.save:
        save(options.save, said)
    sys.stdout.write(json.dumps(counts_of(said), indent=2) + "\n")


def requests(count: int) -> list[tuple[Kind, Request]]:
    """Verdict and score in turn; question, the path's answer, temperature and length by a seeded choice."""
    recipe, choice = load("demo"), random.Random(1).choice
    questions = list(known.questions(known.SAMPLES).items())
    asks: list[tuple[Kind, Request]] = []
    assert recipe.score
    tasks: Sequence[tuple[Kind, Stage, Task]] = (("verdict", "verify", recipe.verify), ("score", "score", recipe.score))
    for n in range(count):
        kind, stage, task = tasks[n % 2]
        case_id, question = choice(questions)
        case = new_case(Submission(case_id=case_id, question=question), ids.recipe_id(recipe))
        path = texts.path(question, choice(list(question.options)), (n,), room=480)
        values = {"gold": prompts.gold(question), "path": path}
        sampling = task.sampling.with_(temperature=choice(TEMPERATURES), max_tokens=choice(MAX_TOKENS))
        task = task.with_(sampling=sampling)
        asks.append((kind, request(case, recipe, task, stage, place=("generated", 0, n), values=values)))
    return asks


async def asked(asks: list[tuple[Kind, Request]]) -> list[Said]:
    """What the model says to each, in order."""
    with tempfile.TemporaryDirectory() as folder:
        async with ModelServer(Path(folder)) as server:
            endpoint = Endpoint(server.base_url, max_calls=DEFAULT_SLOTS)
            async with ChatClient(dict.fromkeys(load("demo").models, endpoint)) as client:
                slots = asyncio.Semaphore(DEFAULT_SLOTS)

                async def ask(kind: Kind, one: Request) -> Said:
                    async with slots:
                        return kind, (await client.send(one, owner="bench", attempt=one.call_id)).text

                return await asyncio.gather(*(ask(kind, one) for kind, one in asks))


def counts_of(said: Iterable[Said]) -> dict[Kind, dict[str, int]]:
    """How the verifier's reader fares, of each kind."""
    counts: dict[Kind, Counter[str]] = {"verdict": Counter(), "score": Counter()}
    for kind, text in said:
        counts[kind].update(["replies", *_fate(kind, text)])
    names = ("replies", "crashed", "read", "repaired", "unjudged", "not_held")
    return {kind: {name: count[name] for name in names} for kind, count in counts.items()}


def _fate(kind: Kind, text: str) -> list[str]:
    try:
        value = read(kind, text)
    except Exception:  # whatever it is: this is what is counted
        return ["crashed"]
    if value is None:
        return ["unjudged"]
    return ["read", *["repaired"] * (not _is_json(text)), *["not_held"] * (not holds(kind, text, value))]


def read(kind: Kind, text: str) -> str | int | None:
    """The outcome or the score by the verifier's own reader."""
    reply = Reply(text, "other", Usage())
    if kind == "verdict":
        judged = replies.verdict(reply)
        return None if judged is None else judged.outcome
    scored = replies.score(reply)
    return None if scored is None else scored.value


def holds(kind: Kind, text: str, value: str | int) -> bool:
    """Whether the text says this, and nothing else, wherever a word `verdict` or `score` is followed by a colon."""
    values = re.findall(rf"""\b{kind}\W*:\s*["']?([^"',;}}\]\n]*)""", text, re.IGNORECASE)
    return {one.strip().casefold() for one in values} == {str(value)}


def save(file: Path, said: Iterable[Said]) -> None:
    lines = "".join(json.dumps({"kind": kind, "text": text}, ensure_ascii=False) + "\n" for kind, text in said)
    file.write_bytes(gzip.compress(lines.encode(), mtime=0))


def saved(file: Path) -> list[Said]:
    return [(row["kind"], row["text"]) for row in map(json.loads, gzip.decompress(file.read_bytes()).splitlines())]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    asyncio.run(main())

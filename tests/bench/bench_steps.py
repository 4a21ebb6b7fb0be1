"""What the verifier makes of a small real model's verdicts of steps when nothing constrains them: no schema is sent.

    .venv/bin/python tests/bench/bench_steps.py [--replies 16] [--save replies.jsonl.gz]

The demo recipe's model with the short prompt for steps, on the sample questions with scripted paths, at several
temperatures and lengths. Prints JSON: replies; crashed; read, and of these in_error; not_held: a step, kind or severity
that was read, but that the text does not hold by a look of this file's own, which must be 0; unjudged.
`tests/data/step_replies.jsonl.gz` holds the replies of one run with --replies 60.
"""

import argparse
import asyncio
import gzip
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from services.contracts.case import Usage
from services.contracts.question import Submission
from services.core import ids
from services.core.case import prompts
from services.core.case.requests import request
from services.core.case.steps import numbered, step_ends
from services.core.ledger.calls import Reply, Request
from services.llm.scripted import known, texts
from services.recipes import load
from services.router.admission import new_case
from services.verifier.replies import Judged, verdict_of_steps
from tests.bench.bench_verdicts import MAX_TOKENS, TEMPERATURES, asked

PROMPT = Path(__file__).parents[2] / "services" / "verifier" / "prompts" / "verify_steps_short.md"
LONGER = 2
"""Times the lengths of a verdict on the whole path."""

Said = tuple[int, str]
"""The number of the path's steps, and the reply's text."""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=int, default=16)
    parser.add_argument("--save", type=Path, help="where the replies go, as gzip-compressed JSON lines")
    options = parser.parse_args()
    asks = requests(options.replies)
    replies = await asked([("verdict", ask) for _, ask in asks])
    said = [(steps, text) for (steps, _), (_, text) in zip(asks, replies, strict=True)]
    if options.save:
        lines = "".join(json.dumps({"steps": n, "text": text}, ensure_ascii=False) + "\n" for n, text in said)
        options.save.write_bytes(gzip.compress(lines.encode(), mtime=0))
    sys.stdout.write(json.dumps(counts_of(said), indent=2) + "\n")


def requests(count: int) -> list[tuple[int, Request]]:
    """Question, the path's answer, temperature and length by a seeded choice; each with the number of its steps."""
    recipe, choice = load("demo"), random.Random(2).choice
    questions = list(known.questions(known.SAMPLES).items())
    asks = []
    for n in range(count):
        case_id, question = choice(questions)
        case = new_case(Submission(case_id=case_id, question=question), ids.recipe_id(recipe))
        path = texts.path(question, choice(list(question.options)), (n,), room=480)
        ends = step_ends(path)
        values = {"gold": prompts.gold(question), "steps": numbered(path, ends)}
        sampling = recipe.verify.sampling.with_(
            temperature=choice(TEMPERATURES), max_tokens=LONGER * choice(MAX_TOKENS)
        )
        task = recipe.verify.with_(prompt=PROMPT.read_text(encoding="utf-8").strip(), sampling=sampling)
        asks.append((len(ends), request(case, recipe, task, "verify", place=("generated", 0, n), values=values)))
    return asks


def counts_of(said: Iterable[Said]) -> dict[str, int]:
    """How the verifier's reader fares."""
    count: Counter[str] = Counter()
    for steps, text in said:
        count.update(["replies", *_fate(steps, text)])
    return {name: count[name] for name in ("replies", "crashed", "read", "in_error", "unjudged", "not_held")}


def _fate(steps: int, text: str) -> list[str]:
    try:
        judged = read(steps, text)
    except Exception:  # whatever it is: this is what is counted
        return ["crashed"]
    if judged is None:
        return ["unjudged"]
    return ["read", *["in_error"] * (judged.outcome == "error"), *["not_held"] * (not holds(text, judged))]


def read(steps: int, text: str) -> Judged | None:
    """The verdict by the verifier's own reader, on a path of so many steps."""
    return verdict_of_steps(Reply(text, "other", Usage()), tuple(range(1, steps + 1)))


def holds(text: str, judged: Judged) -> bool:
    """Whether the text says just these steps, kinds and severities, in order, wherever such a word and a colon are."""
    assert judged.steps is not None
    errors = [error.model_dump() for error in judged.steps.errors]
    return all(
        _values(text, name) == [_plain(error[name]) for error in errors] for name in ("step", "kind", "severity")
    )


def _values(text: str, name: str) -> list[str]:
    return [_plain(value) for value in re.findall(rf"""\b{name}\W*:\s*["']?([^"',;}}\]\n]*)""", text, re.IGNORECASE)]


def _plain(value: Any) -> str:
    return str(value).strip().casefold().replace(" ", "_").replace("-", "_")


def saved(file: Path) -> list[Said]:
    return [(row["steps"], row["text"]) for row in map(json.loads, gzip.decompress(file.read_bytes()).splitlines())]


if __name__ == "__main__":
    asyncio.run(main())

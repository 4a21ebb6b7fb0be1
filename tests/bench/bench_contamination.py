"""How many changed questions an index of the unchanged ones still finds.

    .venv/bin/python tests/bench/bench_contamination.py [--data ../shared/data] [--questions 5996]

Every question of the folder's questions.jsonl.gz is indexed; then each is changed in eight ways, one at a time, and
looked up. Prints JSON, of each way: changed questions, and the share that is found. Skips, with exit code 0, where the
data is absent.
"""

import argparse
import gzip
import html
import json
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

from services.contracts.question import Question
from services.core.dedupe.evaluation_index import Entry, build

LONG = 40
"""Words from which on a stem is long."""
Change = Callable[[Question, random.Random], Question | None]


def _stem(change: Callable[[str, random.Random], str]) -> Change:
    def changed(question: Question, seeded: random.Random) -> Question | None:
        text = change(question.question, seeded)
        return None if text == question.question else question.model_copy(update={"question": text})

    return changed


def _inside(mark: str, times: int) -> Callable[[str, random.Random], str]:
    """The mark in the middle of so many words of five letters or more."""

    def changed(text: str, seeded: random.Random) -> str:
        places = [found.start() + len(found[0]) // 2 for found in re.finditer(r"[A-Za-z]{5,}", text)]
        for place in sorted(seeded.sample(places, min(times, len(places))), reverse=True):
            text = text[:place] + mark + text[place:]
        return text

    return changed


def _options(question: Question, seeded: random.Random) -> Question:
    letters, texts = list(question.options), list(question.options.values())
    gold = question.options[question.answer]
    seeded.shuffle(texts)
    options = dict(zip(letters, texts, strict=True))
    return question.model_copy(update={"options": options, "answer": letters[texts.index(gold)]})


def _replaced(text: str, seeded: random.Random) -> str:
    parts = text.split()
    if len(parts) < LONG:
        return text
    for place in seeded.sample(range(len(parts)), 3):
        parts[place] = "otherwise"
    return " ".join(parts)


def _tagged(text: str, seeded: random.Random) -> str:
    parts = text.split(" ")
    for place in seeded.sample(range(len(parts)), min(4, len(parts))):
        parts[place] = f"<b>{parts[place]}</b>"
    return "<p>" + " ".join(parts) + "</p>"


CHANGES: dict[str, Change] = {
    "case": _stem(lambda text, seeded: text.upper()),
    "order of the options": _options,
    "HTML entities": _stem(lambda text, seeded: html.escape(text).replace(" ", "&nbsp;", 8)),
    "4 soft hyphens": _stem(_inside("\u00ad", 4)),
    "4 zero-width spaces": _stem(_inside("\u200b", 4)),
    "3 hyphenated line breaks": _stem(_inside("-\n", 3)),
    "3 words replaced, stems of 40 and more": _stem(_replaced),
    "tags": _stem(_tagged),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--questions", type=int, default=10_000)
    given = parser.parse_args()
    file = given.data / "questions.jsonl.gz"
    if not file.exists():
        sys.stderr.write(f"{file} is absent: nothing to measure\n")
        return
    rows = gzip.decompress(file.read_bytes()).splitlines()[: given.questions]
    questions = [Question.model_validate_json(row) for row in rows]
    index = build((Entry.of("set", question, number), question) for number, question in enumerate(questions))
    report = {}
    for name, change in CHANGES.items():
        seeded = random.Random(1)
        changed = [made for question in questions if (made := change(question, seeded))]
        found = sum(index.find(question) is not None for question in changed)
        report[name] = {"changed": len(changed), "found": round(found / max(1, len(changed)), 4)}
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

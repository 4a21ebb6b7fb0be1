"""Personal data: what is found in 200 labelled lines, and false alarms: `python -m tests.bench.bench_privacy`; JSON.

The lines (tests/data/privacy_lines.tsv) are our own: 100 with one identifier each, 100 as vignettes have them, with
ages, doses, lab values and dates. `ours` is services/router/privacy.py; `datafog` its library with all of its labels.
`presidio` are presidio-analyzer's recognizers of e-mail, phone and U.S. social security numbers, which need no language
model and no network; skipped where it is not installed (it is no part of the lock: `pip install presidio-analyzer`).
False alarms are also counted in the questions of --data (../shared/data), where it exists; `ms` is CPU a question.
"""

import argparse
import gzip
import importlib.util
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datafog.processing.text_processing.regex_annotator import RegexAnnotator

from services.contracts.question import Question
from services.router.privacy import identifiers

LINES = Path(__file__).parents[1] / "data/privacy_lines.tsv"
PRESIDIO_SCORE = 0.4
"""Its scores of a bare number of nine digits are lower."""
Finder = Callable[[Question], bool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    file = parser.parse_args().data / "questions.jsonl.gz"
    questions = real(file) if file.exists() else []
    finders: dict[str, Finder] = {"ours": lambda question: bool(identifiers(question)), "datafog": datafog()}
    if importlib.util.find_spec("presidio_analyzer"):
        finders["presidio"] = presidio()
    sys.stdout.write(json.dumps({name: measured(find, questions) for name, find in finders.items()}, indent=2) + "\n")


def measured(find: Finder, questions: list[Question]) -> dict[str, Any]:
    """Found lines by kind, alarms in lines without identifiers, alarms in real questions."""
    lines = [line.split("\t") for line in LINES.read_text().splitlines()]
    found, of = Counter[str](), Counter(kind for kind, _ in lines)
    for kind, text in lines:
        found[kind] += find(Question(question=text, options={"A": "this", "B": "that"}, answer="A"))
    began = time.process_time()
    alarms = sum(map(find, questions))
    shown: dict[str, Any] = {kind: f"{found[kind]} of {of[kind]}" for kind in of}
    if questions:
        each = 1_000 * (time.process_time() - began) / len(questions)
        shown |= {"real questions": f"{alarms} of {len(questions)}", "ms": round(each, 2)}
    return shown


def datafog() -> Finder:
    annotator = RegexAnnotator()
    return lambda question: any(any(annotator.annotate(text).values()) for text in texts(question))


def presidio() -> Finder:
    # Without these arguments the e-mail recognizer downloads a list of domains.
    tldextract: Any = importlib.import_module("tldextract")
    known: Any = importlib.import_module("presidio_analyzer.predefined_recognizers")
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    recognizers = [known.EmailRecognizer(), known.PhoneRecognizer(), known.UsSsnRecognizer()]

    def find(question: Question) -> bool:
        return any(
            result.score >= PRESIDIO_SCORE
            for text in texts(question)
            for each in recognizers
            for result in each.analyze(text, each.supported_entities, None) or ()
        )

    return find


def texts(question: Question) -> tuple[str, ...]:
    return (question.question, *question.options.values(), *question.context)


def real(file: Path) -> list[Question]:
    fields = ("question", "options", "answer", "context")
    with gzip.open(file) as lines:
        rows = [json.loads(line) for line in lines]
    return [Question.model_validate({name: row[name] for name in fields if row.get(name)}) for row in rows]


if __name__ == "__main__":
    main()

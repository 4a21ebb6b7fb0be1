"""Files in the shape of the real sources, in our own words; sinks that keep what they are given."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from services.contracts.codec import decode
from services.contracts.question import Question, Submission
from services.core.errors import BrokerAway
from services.core.messages import OutgoingRecord
from services.importers.rows import Parse, Rejected, Row, message

STEM = "Which vitamin is missing in scurvy?"
TEXTS = ["Vitamin A", "Vitamin B12", "Vitamin C", "Vitamin D"]
OPTIONS = dict(zip("ABCD", TEXTS, strict=True))
ROW = {"question": STEM, "options": OPTIONS, "answer": "C"}


def medqa(**changes: Any) -> dict[str, Any]:
    """As published: answer is the text, answer_idx the letter; metamap_phrases only with four options."""
    row = {"question": STEM, "answer": TEXTS[2], "options": OPTIONS, "meta_info": "step1", "answer_idx": "C"}
    return {**row, "metamap_phrases": ["vitamin", "scurvy"], **changes}


def medmcqa(cop: Any, number: int = 0) -> dict[str, Any]:
    """Of either form."""
    return {
        "id": f"id-{number}", "question": f"{STEM} ({number})", "opa": TEXTS[0], "opb": TEXTS[1], "opc": TEXTS[2],
        "opd": TEXTS[3], "cop": cop, "choice_type": "single", "exp": "Ans. is c: ascorbic acid",
        "subject_name": "Biochemistry", "topic_name": None,
    }  # fmt: skip


def pubmedqa(decision: Any = "yes", question: str = "Do lemons prevent scurvy?") -> dict[str, Any]:
    """An entry, without its PMID."""
    return {
        "QUESTION": question, "CONTEXTS": ["Sailors fell ill.", "Some had lemons."], "LABELS": ["BACKGROUND", "AIM"],
        "MESHES": ["Scurvy"], "YEAR": "2001", "reasoning_required_pred": "yes", "reasoning_free_pred": "yes",
        "final_decision": decision, "LONG_ANSWER": "Lemons prevent scurvy.",
    }  # fmt: skip


def lines(rows: Iterable[Any]) -> bytes:
    """JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def table(rows: Iterable[Sequence[str]]) -> bytes:
    """CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def written(path: Path, data: bytes) -> Path:
    """The file, with these bytes."""
    path.write_bytes(data)
    return path


def question(parse: Parse, row: Any) -> Question:
    """What the row comes to: it must be a question."""
    made = message(Row(1, row), parse)
    assert isinstance(made, OutgoingRecord), made
    return decode(Submission, made.value).question


def rejected(parse: Parse, row: Any) -> Rejected:
    """Why the row is none."""
    made = message(Row(1, row), parse)
    assert isinstance(made, Rejected)
    return made


class ListSink:
    """Keeps batches; the one with this number, from 0, and all after it find the broker away."""

    def __init__(self, away_from: int = 10**9) -> None:
        self.batches: list[list[OutgoingRecord]] = []
        self._away_from = away_from

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        if len(self.batches) >= self._away_from:
            raise BrokerAway("away")
        self.batches.append(list(messages))

    @property
    def questions(self) -> list[Question]:
        """All that it was given, in order."""
        return [decode(Submission, one.value).question for batch in self.batches for one in batch]

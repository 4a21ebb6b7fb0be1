"""PubMedQA: one JSON object for the whole file, each entry under its PMID; answers yes, no, maybe. Pure."""

from typing import Any

from services.importers.rows import Fields, Unfit

DECISIONS = {"yes": "A", "no": "B", "maybe": "C"}


def recognises(row: Any) -> bool:
    """Whether the row is an entry of PubMedQA, with or without a decision."""
    return isinstance(row, dict) and all(
        isinstance(entry, dict) and {"QUESTION", "CONTEXTS"} <= entry.keys() for entry in row.values()
    )


def parse(row: Any) -> Fields:
    """The question of `{PMID: entry}`. LONG_ANSWER stays behind: it gives the answer away."""
    if not isinstance(row, dict) or len(row) != 1:
        raise Unfit("row", "must be one entry under its PMID")
    ((pmid, entry),) = row.items()
    if not isinstance(entry, dict):
        raise Unfit("row", "an entry is a JSON object, this is not")
    decision = entry.get("final_decision")
    if not isinstance(decision, str) or decision not in DECISIONS:
        raise Unfit("final_decision", "must be yes, no or maybe")
    return {
        "question": entry.get("QUESTION"),
        "options": {letter: text for text, letter in DECISIONS.items()},
        "answer": DECISIONS[decision],
        "context": entry.get("CONTEXTS"),
        "source": "pubmedqa",
        "id": pmid,
    }

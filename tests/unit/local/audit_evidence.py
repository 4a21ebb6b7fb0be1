"""Evidence of a run, made by hand, and its audit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.contracts.base import CallId, Value
from services.contracts.codec import encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.contracts.question import Submission
from services.contracts.topics import (
    CASE_ACCEPTED,
    CURRENT,
    QUESTION_ADMITTED,
    QUESTION_SUBMITTED,
    RECIPES,
    RECORD_COMPLETED,
)
from services.core import ids
from services.core.ledger.calls import Reply
from services.core.ledger.ports import CallRow, ClaimRow
from services.core.messages import ConsumedRecord
from services.llm.scripted.seeded import text_digest
from services.local.audit.report import Ledger, Used, audit_report
from services.local.audit.topic_counts import Topics
from services.protogen.examples import CASE_ID, RECIPE, RECIPE_ID, examples

EXAMPLES = examples()
CASE: Any = EXAMPLES["case"]  # medium: two of three planned paths are correct; it keeps two
RECORD: Any = EXAMPLES["record"]  # the first of its two
SECOND: Any = RECORD.with_(record_id=ids.record_id(CASE.work_id, CASE.kept[1]), path_id=CASE.kept[1], index=1)
ADMITTED: Any = CASE.with_(paths=(), difficulty=None, rounds=0, kept=())
DEFECTS = (
    "missing",
    "two_ends",
    "differing_repeats",
    "duplicate_records",
    "untraceable_records",
    "unexported_records",
    "route_mismatches",
    "calls_against_ledger",
)
OTHER = CallId("call-" + 32 * "f")
NEVER = 1e12


@dataclass
class Evidence:
    """What a run left behind."""

    messages: list[ConsumedRecord] = field(default_factory=list)
    calls: list[CallRow] = field(default_factory=list)
    claims: list[ClaimRow] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    dataset: list[str] = field(default_factory=list)

    def put(self, topic: str, key: str, message: Value | bytes, headers: dict[str, bytes] | None = None) -> None:
        value = message if isinstance(message, bytes) else encode(message)
        self.messages.append(ConsumedRecord(topic, 0, len(self.messages), key.encode(), value, headers or {}))

    def call(self, call_id: CallId, stage: str, slot: int, at: float, **notes: Any) -> None:
        """A call in order: claimed at, begun 1 s later, replied and completed after 2 s more."""
        self.reply(call_id, stage, slot, at, **notes)
        usage = next((call.usage for path in CASE.paths for call in path.calls if call.call_id == call_id), None)
        usage = usage or RECORD.calls[-1].usage
        self.claims.append(ClaimRow(call_id, "one", at, at + 3, "completed"))
        self.calls.append(CallRow(call_id, "one", at + 3, Reply(str(notes), "stop", usage)))

    def reply(self, call_id: str, stage: str, slot: int, at: float, **notes: Any) -> None:
        """A call as the server logs it; its text is all that the notes say."""
        seed = ids.seed(CASE_ID, stage, "generated", 0, slot)
        named = {"n": len(self.log), "server": 1, "id": call_id, "owner": "one", "stage": stage, "case": CASE_ID}
        self.log.append({"event": "start", **named, "at": at + 1})
        fields = {"seed": seed, "text": text_digest(str(notes)), **notes}
        self.log.append({"event": "end", **named, "start": at + 1, "end": at + 2, "status": 200, **fields})

    def count(self, used: dict[str, Used] | None = None, *, log: bool = True) -> dict[str, Any]:
        seen = Topics()
        for message in self.messages:
            seen.take(message)
        lines: Sequence[dict[str, Any]] | None = self.log if log else None
        ledger = Ledger(self.calls, self.claims)
        return audit_report(seen, ledger, lines, self.dataset, used=used or {}, seconds=10.0, dataset=Path("/dataset"))

    def defects(self) -> dict[str, int]:
        said = self.count()
        return {name: said[name] for name in DEFECTS if said[name]}


@pytest.fixture(name="run")
def run_fixture() -> Evidence:
    """One question's way, in order."""
    evidence = Evidence()
    evidence.put(RECIPES, RECIPE_ID, RECIPE)
    evidence.put(RECIPES, CURRENT, b'"' + RECIPE_ID.encode() + b'"')
    evidence.put(QUESTION_SUBMITTED, CASE_ID, Submission(case_id=CASE_ID, question=CASE.question))
    evidence.put(QUESTION_ADMITTED, CASE_ID, ADMITTED)
    evidence.put(CASE_ACCEPTED, CASE_ID, CASE)
    evidence.put(RECORD_COMPLETED, CASE_ID, RECORD)
    evidence.put(RECORD_COMPLETED, CASE_ID, SECOND)
    evidence.dataset = [RECORD.record_id, SECOND.record_id]
    paid = [call for path in CASE.paths for call in path.calls] + [RECORD.calls[-1]]
    verdicts = {path.slot: path.verdict for path in CASE.paths if path.origin == "generated"}
    for at, call in enumerate(dict.fromkeys(paid)):
        slot = next((path.slot for path in CASE.paths if call in path.calls and path.origin == "generated"), 9)
        notes: dict[str, Any] = {}
        if call.stage == "verify" and slot in verdicts:
            # The judge took the third for correct too, but it states another answer than gold.
            notes = {"verdict": "Correct", "stated": verdicts[slot].stated, "gold": CASE.question.answer}
        evidence.call(call.call_id, call.stage, slot, 100.0 * at, **notes)
    return evidence


def first_two_verdicts(run: Evidence) -> list[tuple[int, dict[str, Any]]]:
    """The slots and the log's lines of the two correct paths."""
    lines = [line for line in run.log if line.get("verdict") and line["stated"] == CASE.question.answer]
    slots = {ids.seed(CASE_ID, "verify", "generated", 0, slot): slot for slot in range(3)}
    return [(slots[line["seed"]], line) for line in lines]


def die(run: Evidence, topic: str, message: Value) -> None:
    letter = DeadLetter(service="x", kind="defect", error="e", attempts=1, topic=topic, partition=0, offset=7)
    run.put("verifier-dead", CASE_ID, message, {DEAD_LETTER_HEADER: encode(letter)})

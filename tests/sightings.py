"""Generated sightings of a case: all that its topics may tell, its way never quite known."""

from typing import Any

from hypothesis import strategies as st

from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_MEDIUM,
    CASE_REJECTED,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    QUESTION_REFUSED,
    QUESTION_SUBMITTED,
    RECORD_COMPLETED,
)
from services.core.messages import Position
from services.core.status.case_status import Agreement, CaseEvent, Cost, Savings

BEGUN_MS = 1_800_000_000_000

ENDS: dict[str, Any] = {CASE_REJECTED: "rejected", "generator-dead": "dead", QUESTION_REFUSED: "refused"}
OF_QUESTIONS = (QUESTION_SUBMITTED, QUESTION_REFUSED, "router-dead")
OF_CASES = (
    QUESTION_ADMITTED,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    CASE_MEDIUM,
    CASE_ACCEPTED,
    CASE_REJECTED,
    "generator-dead",
)


def case_event(topic: str, work_id: str = "work-1", **changes: Any) -> CaseEvent:
    """A message of a topic, as the monitor tells of it."""
    fields: dict[str, Any] = {
        "case_id": "case-1",
        "work_id": work_id,
        "recipe_id": "recipe-1" if work_id else "",
        "position": Position(topic, 0, changes.pop("offset", 0)),
        "written_ms": BEGUN_MS,
        "end": "dead" if topic == "router-dead" else ENDS.get(topic),
        "title": "Which vitamin?",
    }
    return CaseEvent(**{**fields, **changes})


def record(index: int, of: int = 2, work_id: str = "work-1", **changes: Any) -> CaseEvent:
    """A record, of so many."""
    fields = {"difficulty": "easy", "cost": Cost("qwen", 0.25, 100, 10), "offset": index, **changes}
    return case_event(RECORD_COMPLETED, work_id, index=index, of=of, **fields)


def at_its_end(calls: int) -> dict[str, Any]:
    """What the router's last message of a case adds: nothing, without calls that were spared."""
    if not calls:
        return {}
    spared = (Savings("sampling", "generate", calls, 0.25), Savings("judging", "verify", 1, 0.0))
    return {"spared": spared, "agreement": (Agreement("qwen", gold=4, gold_in_error=1, other=calls, other_correct=1),)}


@st.composite
def sightings(draw: st.DrawFn, case_id: str = "case-1") -> CaseEvent:
    """Any message of a case: some life, round, work; written at some time, perhaps a repeat of another."""
    kind = draw(st.sampled_from(["question", "case", "record", "aside"]))
    common: dict[str, Any] = {
        "case_id": case_id,
        "life": draw(st.integers(0, 1)),
        "offset": draw(st.integers(0, 3)),
        "written_ms": BEGUN_MS + draw(st.integers(0, 4)) * 7_000,
    }
    work_id = draw(st.sampled_from(["work-1", "work-2"]))
    match kind:
        case "question":
            return case_event(draw(st.sampled_from(OF_QUESTIONS)), "", **common)
        case "case":
            round_ = draw(st.integers(0, 1))
            difficulty = draw(st.sampled_from([None, "medium"])) if round_ == 0 else "medium"
            topic = draw(st.sampled_from(OF_CASES))
            if topic in (CASE_ACCEPTED, CASE_REJECTED):
                common |= at_its_end(draw(st.integers(0, 3)))
            return case_event(topic, work_id, round=round_, difficulty=difficulty, **common)
        case "record":
            return record(draw(st.integers(0, 1)), work_id=work_id, **common)
        case _:
            return case_event("exporter-dead", work_id, index=draw(st.integers(0, 1)), **common)

"""Parses a record into an event of its case. Pure.

Only the fields that are used are validated, since the topic's own service dead-letters malformed messages. So a case
costs its parsing and a dozen look-ups.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from services.contracts.base import MAJOR
from services.contracts.codec import Malformed, peek
from services.contracts.dead import DEAD_LETTER_HEADER
from services.contracts.topics import CASE_ACCEPTED, CASE_REJECTED, dead_topic, stage_topic, topics
from services.core.messages import ConsumedRecord
from services.core.status.case_status import Agreement, CaseEvent, Cost, Savings

SERVICE = "monitor"
TITLE = 120
"""Characters of the stem that are kept."""
WHY = 400
"""Characters of a reason that are kept."""

FOLLOWED = tuple(name for name, topic in topics().items() if not topic.compacted and name != dead_topic(SERVICE))
"""All topics of cases, except the monitor's own dead letters, which would loop."""


class Unreadable(ValueError):
    """The record has no event: it breaks its topic's contract, or has another major version."""


def case_event(message: ConsumedRecord) -> CaseEvent:
    """The event of a record. Raises Unreadable."""
    try:
        kind = topics()[message.topic].message
        return _dead(message) if kind == "dead_letter" else _event(message, kind)
    except (Malformed, KeyError, TypeError, AttributeError, ValueError) as error:
        raise Unreadable(f"{message.topic}/{message.partition}/{message.offset}: {type(error).__name__}") from error


def _event(message: ConsumedRecord, kind: str) -> CaseEvent:
    body = _body(message)
    common = _common(message, body)
    match kind:
        case "submission":
            return CaseEvent(**common)
        case "refused":
            match_ = body["match"]
            why = f"{body['reason']}: {match_['where']} {match_['id']}: {match_['text']}"
            return CaseEvent(**common, end="refused", why=why[:WHY])
        case "case":
            return CaseEvent(
                **common,
                **_case(body),
                end="rejected" if message.topic == CASE_REJECTED else None,
                why=(body.get("rejected") or "")[:WHY],
                paths=Counter(_standing(path) for path in body["paths"]),
                **(_at_its_end(body) if stage_topic(message.topic) in (CASE_ACCEPTED, CASE_REJECTED) else {}),
            )
        case "record":
            return CaseEvent(
                **common, **_record(body), of=int(body["of"]), cost=_cost(body), score=body["score"]["value"]
            )
        case _:
            raise Unreadable(f"{kind} is no event of a case")


def _dead(message: ConsumedRecord) -> CaseEvent:
    """The dead letter of a case or question is its end; that of a record (by the exporter) is not."""
    letter = peek(message.headers[DEAD_LETTER_HEADER])
    kind, body = topics()[letter["topic"]].message, _body(message)
    common, why = _common(message, body), f"{letter['kind']}: {letter['error']}"[:WHY]
    match kind:
        case "submission":
            return CaseEvent(**common, end="dead", why=why)
        case "case":
            return CaseEvent(**common, **_case(body), end="dead", why=why)
        case "record":
            return CaseEvent(**common, **_record(body), why=why)
        case _:
            raise Unreadable(f"a dead {kind} is no event of a case")


def _body(message: ConsumedRecord) -> Mapping[str, Any]:
    body: Mapping[str, Any] = peek(message.value or b"")
    if int(body["version"].partition(".")[0]) != MAJOR or message.key != body["case_id"].encode():
        raise Unreadable("another major version, or another case's key")
    return body


def _common(message: ConsumedRecord, body: Mapping[str, Any]) -> dict[str, Any]:
    question = body["question"]
    return {
        "case_id": body["case_id"],
        "life": int(body.get("life", 0)),
        "position": message.position,
        "written_ms": message.timestamp_ms,
        "title": question["question"][:TITLE],
        "source": question.get("source") or "",
        "subject": question.get("subject") or "",
    }


def _case(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "work_id": str(body["work_id"]),
        "recipe_id": str(body["recipe_id"]),
        "round": int(body.get("rounds", 0)),
        "index": int(body.get("wave") or 0),
        "difficulty": body.get("difficulty"),
    }


def _at_its_end(body: Mapping[str, Any]) -> dict[str, Any]:
    spared = (Savings(str(e["by"]), str(e["stage"]), int(e["calls"]), float(e["usd"])) for e in body.get("spared", ()))
    return {"spared": tuple(spared), "agreement": _agreement(body["paths"], body["question"]["answer"])}


def _agreement(paths: Iterable[Mapping[str, Any]], gold: str) -> tuple[Agreement, ...]:
    """By model, of the paths that state an answer and that a judge has read."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for path in paths:
        verdict = path.get("verdict") or {}
        if (judged := verdict.get("judged")) is not None and (stated := verdict.get("stated")) is not None:
            said = "gold" if stated == gold else "other"
            counts[path["alias"]][said] += 1
            counts[path["alias"]][f"{said}_{judged}"] += 1
    return tuple(
        Agreement(alias, n["gold"], n["gold_error"], n["other"], n["other_correct"])
        for alias, n in sorted(counts.items())
    )


def _record(body: Mapping[str, Any]) -> dict[str, Any]:
    work = {"work_id": str(body["work_id"]), "recipe_id": str(body["recipe_id"])}
    return {**work, "index": int(body["index"]), "difficulty": body["difficulty"]}


def _cost(body: Mapping[str, Any]) -> Cost:
    usages: Iterable[Mapping[str, int]] = body["usage"].values()
    tokens = [(usage["prompt"], usage["completion"]) for usage in usages]
    prompt, completion = (sum(column) for column in zip(*tokens, strict=True)) if tokens else (0, 0)
    # Usage is the whole case's: each record gets a share, so that the records of a case sum to its usage.
    of = max(1, int(body["of"]))
    return Cost(str(body["alias"]), float(sum(body["cost"].values())), prompt // of, completion // of)


def _standing(path: Mapping[str, Any]) -> str:
    """As Path.standing says."""
    if path.get("failure") is not None:
        return "unknown"
    verdict = path.get("verdict")
    if verdict is None:
        return "unverified"
    return "unknown" if verdict["outcome"] == "unjudged" else str(verdict["outcome"])

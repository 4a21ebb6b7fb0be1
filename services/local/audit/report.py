"""The account of a run: what became of every question, counted from the topics, the ledger and the model server's log.

Never from our own metrics. Written as summary.json by demo, replay and chaos alike:

    questions             distinct questions submitted
    ended                 of these, those that came to an end: all records completed, or rejected, dead, or refused
    accepted, rejected, dead    ends by kind, of a work (a question under a recipe) in its life
    refused               questions that admission refused: near-duplicates, and those of evaluation sets
    missing               questions without an end, or with a work whose last life has none
    two_ends              works that ended in two different ways in one life (a defect)
    equal_repeats         messages that repeat one of the same id, byte for byte (allowed, recognised by readers)
    differing_repeats     messages that repeat one of the same id with other bytes (a defect)
    records               distinct records in the topic
    duplicate_records     records that the dataset holds more than once (a defect)
    untraceable_records   records whose recipe, calls or question stand nowhere (a defect)
    unexported_records    records of the topic that the dataset doesn't hold
    dead_letters          messages in the topics of dead letters
    routes                works by difficulty: easy, medium, difficult
    route_mismatches      works whose difficulty is not the one computed from what the server says that it sent (a
                          defect)
    calls                 requests that the server began (by the ledger where the server keeps no log)
    calls_against_ledger  of these, those begun while the ledger held the reply, or another's live lease (a defect);
                          null where the server keeps no log
    call_repeats          requests beyond the first of a call id; null where the server keeps no log
    tokens                in, out, cached: as the ledger has them
    cost                  USD, by the recipe's prices
    seconds               from the first submission to the last end
    calls_per_s
    cpu_ms_per_call       CPU time of the five services' processes for each call, in milliseconds
    cpu_s, peak_rss_mb    by service, in seconds and MiB (the largest of its processes)
    dataset               its folder
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.core.case import ids
from services.core.ledger.calls import Reply
from services.core.ledger.ports import CallRow, ClaimRow
from services.llm.scripted.seeded import text_digest
from services.local.audit.topic_counts import Topics

LogLine = Mapping[str, Any]
"""A line of the scripted server's log, as services.llm.scripted.log describes it."""

FIVE = ("generator", "verifier", "router", "refiner", "summarizer")


@dataclass(frozen=True)
class Used:
    """What the processes of a service used."""

    cpu_s: float
    peak_rss_mb: float


@dataclass(frozen=True)
class Ledger:
    """What the ledger says of the run."""

    calls: Sequence[CallRow]
    claims: Sequence[ClaimRow]


def account(
    seen: Topics,
    ledger: Ledger,
    log: Sequence[LogLine] | None,
    dataset_ids: Iterable[str],
    *,
    used: Mapping[str, Used],
    seconds: float,
    dataset: Path,
) -> dict[str, Any]:
    """The counts of a run, as the module says."""
    ends = Counter(kind for kinds in seen.ends().values() for kind in kinds)
    exported = Counter(dataset_ids)
    calls = len(ledger.calls) if log is None else sum(line["event"] == "start" for line in log)
    cpu_s = sum(used[service].cpu_s for service in FIVE if service in used)
    routes = Counter(seen.difficulty.values())
    return {
        "questions": len(seen.questions),
        "ended": len(seen.ended_questions() & seen.questions),
        "accepted": ends["accepted"],
        "rejected": ends["rejected"],
        "dead": ends["dead"],
        "refused": len(seen.refused),
        "missing": len(seen.questions - seen.ended_questions()),
        "two_ends": seen.two_ends(),
        "equal_repeats": seen.equal_repeats,
        "differing_repeats": seen.differing_repeats,
        "records": len(seen.records),
        "duplicate_records": sum(count - 1 for count in exported.values()),
        "untraceable_records": _untraceable(seen, ledger),
        "unexported_records": len(set(seen.records) - set(exported)),
        "dead_letters": seen.dead_letters,
        "routes": {difficulty: routes[difficulty] for difficulty in ("easy", "medium", "difficult")},
        "route_mismatches": None if log is None else route_mismatches(seen, ledger, log),
        "calls": calls,
        "calls_against_ledger": None if log is None else calls_against_ledger(ledger, log),
        "call_repeats": None if log is None else _call_repeats(log),
        "tokens": _tokens(ledger),
        "cost": round(_cost(seen), 6),
        "seconds": round(seconds, 2),
        "calls_per_s": round(calls / seconds, 1) if seconds else 0.0,
        "cpu_ms_per_call": round(1000 * cpu_s / calls, 3) if calls else None,
        "cpu_s": {service: round(use.cpu_s, 2) for service, use in used.items()},
        "peak_rss_mb": {service: round(use.peak_rss_mb, 1) for service, use in used.items()},
        "dataset": str(dataset),
    }


def calls_against_ledger(ledger: Ledger, log: Sequence[LogLine]) -> int:
    """Requests that began while the ledger held their reply, or while another owner than their sender had a lease."""
    done = {call.call_id: call.at for call in ledger.calls}
    leases: defaultdict[str, list[ClaimRow]] = defaultdict(list)
    for claim in ledger.claims:
        leases[claim.call_id].append(claim)
    return sum(
        line["at"] > done.get(line["id"], float("inf"))
        or any(c.owner != line["owner"] and c.since <= line["at"] < c.until for c in leases[line["id"]])
        for line in log
        if line["event"] == "start"
    )


def route_mismatches(seen: Topics, ledger: Ledger, log: Sequence[LogLine]) -> int:
    """Works whose difficulty isn't what the server's log says: the verdicts that it gave on the plan's paths, and the
    answers that these paths state, counted by the recipe's thresholds. Of an unknown recipe, none can be right."""
    correct_places = _correct_places(ledger, log)
    wrong = 0
    for work_id, difficulty in seen.difficulty.items():
        case_id, recipe_id = seen.case_of[work_id]
        recipe = seen.recipes.get(recipe_id)
        if recipe is None:
            wrong += 1
            continue
        slots = range(len(recipe.generate.plan))
        correct = sum((case_id, ids.seed(case_id, "verify", "generated", 0, slot)) in correct_places for slot in slots)
        if correct >= recipe.routing.easy:
            expected = "easy"
        else:
            expected = "medium" if correct >= recipe.routing.medium else "difficult"
        wrong += expected != difficulty
    return wrong


def _correct_places(ledger: Ledger, log: Sequence[LogLine]) -> set[tuple[str, int]]:
    """Case id and seed of the paths that are correct by the last verdict that can be read on them: what could not be
    read was asked for again. Of several replies to one call (its sender was killed, or paused beyond its lease), the
    one that the ledger took counts: no other was ever published."""
    held = {call.call_id: text_digest(call.outcome.text) for call in ledger.calls if isinstance(call.outcome, Reply)}
    last = {
        (line["case"], line["seed"]): line["verdict"] == "Correct" and line["stated"] in (None, line["gold"])
        for line in log
        if line["event"] == "end" and line["stage"] == "verify" and line["status"] == 200
        if "verdict" in line and line["text"] == held.get(line["id"])
    }
    return {place for place, correct in last.items() if correct}


def _untraceable(seen: Topics, ledger: Ledger) -> int:
    paid = {call.call_id for call in ledger.calls}
    return sum(
        record.recipe_id not in seen.recipes
        or record.case_id not in seen.questions
        or record.case_id != ids.case_id(record.question)
        or not {call.call_id for call in record.calls} <= paid
        for record in seen.records.values()
    )


def _call_repeats(log: Sequence[LogLine]) -> int:
    starts = Counter(line["id"] for line in log if line["event"] == "start")
    return sum(count - 1 for count in starts.values())


def _tokens(ledger: Ledger) -> dict[str, int]:
    usages = [call.outcome.usage for call in ledger.calls]
    return {
        "in": sum(usage.prompt for usage in usages),
        "out": sum(usage.completion for usage in usages),
        "cached": sum(usage.cached for usage in usages),
    }


def _cost(seen: Topics) -> float:
    """Of the calls whose recipe is known, and names their model."""
    cost = 0.0
    for call, recipe_id in seen.calls.values():
        recipe = seen.recipes.get(recipe_id)
        if recipe is None or call.alias not in recipe.models:
            continue
        model = recipe.models[call.alias]
        cost += (call.usage.prompt * model.price_in + call.usage.completion * model.price_out) / 1_000_000
    return cost

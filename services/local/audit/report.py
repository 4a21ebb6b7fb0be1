"""The audit report of a run, counted from the topics, the ledger and the model server's log, never from our own
metrics.

demo, replay and chaos write it as summary.json:

    questions             distinct questions submitted
    ended                 of these, those that ended: all records completed, or rejected, dead, or refused
    accepted, rejected, dead    ends by kind, as `status` counts them: of each work (a question under a recipe) the one
                          of its last life; a question that died before it was a case counts as dead
    refused               questions that admission refused: near-duplicates, and those of evaluation sets
    missing               questions that have not ended, or with a work whose last life has not
    two_ends              works that ended in two different ways in one life (a defect)
    equal_repeats         messages that repeat an id with the same bytes (allowed: readers drop them)
    differing_repeats     messages that repeat an id with different bytes (a defect)
    records               distinct records in the topic
    duplicate_records     records that are more than once in the dataset (a defect)
    untraceable_records   records whose recipe, calls or question cannot be found (a defect)
    unexported_records    records of the topic that are not in the dataset
    dead_letters          messages in the topics of dead letters
    routes                works by difficulty: easy, medium, difficult
    route_mismatches      works whose difficulty differs from the one computed from the server's log (a defect); of
                          questions whose gold answer the log has: the script knows no others
    full_plan_mismatches  of a replay: works whose difficulty differs from that of the full plan, computed from the
                          recordings (a defect)
    calls                 requests that the server began (without a server log: calls in the ledger)
    calls_against_ledger  of these, those begun while the ledger had the reply, or a live lease of another owner
                          (a defect); null without a server log
    call_repeats          requests beyond the first of a call id; null without a server log
    tokens                in, out, cached: by the ledger
    cost                  USD, by the recipe's prices
    spared                calls that the cases did not need, and about their USD: by sampling and by judging; those that
                          the ledger remembered are in `status`
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

from services.core import ids
from services.core.ledger.calls import Reply
from services.core.ledger.ports import CallRow, ClaimRow
from services.llm.scripted.seeded import text_digest
from services.local.audit.topic_counts import Topics

LogLine = Mapping[str, Any]
"""A line of the scripted server's log; services.llm.scripted.log describes it."""

FIVE = ("generator", "verifier", "router", "refiner", "summarizer")


@dataclass(frozen=True)
class Used:
    """Resource usage of a service's processes."""

    cpu_s: float
    peak_rss_mb: float


@dataclass(frozen=True)
class Ledger:
    """The ledger's calls and leases of the run."""

    calls: Sequence[CallRow]
    claims: Sequence[ClaimRow]


def audit_report(
    seen: Topics,
    ledger: Ledger,
    log: Sequence[LogLine] | None,
    dataset_ids: Iterable[str],
    *,
    used: Mapping[str, Used],
    seconds: float,
    dataset: Path,
) -> dict[str, Any]:
    """The audit report of a run, with the fields that the module lists."""
    ends = seen.last_ends()
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
        "spared": _spared(seen),
        "seconds": round(seconds, 2),
        "calls_per_s": round(calls / seconds, 1) if seconds else 0.0,
        "cpu_ms_per_call": round(1000 * cpu_s / calls, 3) if calls else None,
        "cpu_s": {service: round(use.cpu_s, 2) for service, use in used.items()},
        "peak_rss_mb": {service: round(use.peak_rss_mb, 1) for service, use in used.items()},
        "dataset": str(dataset),
    }


def calls_against_ledger(ledger: Ledger, log: Sequence[LogLine]) -> int:
    """The number of requests that began while the ledger had their reply, or an owner other than the sender a lease."""
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
    """The number of works whose difficulty differs from the one computed by the recipe's thresholds from the server's
    log: its verdicts on the plan's paths, and the answers that these paths state. Works of questions that the script
    did not know are left out: it has no gold answer to compare with. Works of an unknown recipe all count."""
    correct_places, asked_of, known = _correct_places(ledger, log), _cases(log), _cases(log, with_gold=True)
    wrong = 0
    for work_id, difficulty in seen.difficulty.items():
        case_id, recipe_id = seen.case_of[work_id]
        if case_id in asked_of - known:
            continue
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


def _cases(log: Sequence[LogLine], *, with_gold: bool = False) -> set[str]:
    """The cases of which the log has verdicts or paths, or only those whose gold answer the script knew."""
    return {line["case"] for line in log if "gold" in line and (line["gold"] is not None or not with_gold)}


def _correct_places(ledger: Ledger, log: Sequence[LogLine]) -> set[tuple[str, int]]:
    """Case id and seed of the paths that are correct by their last readable verdict; after an unreadable one the judge
    was asked again. Of several replies to one call (its sender was killed, or paused beyond its lease) only the one in
    the ledger counts: no other was published."""
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


def _spared(seen: Topics) -> dict[str, dict[str, float]]:
    """Calls and USD, by what spared them."""
    found: dict[str, dict[str, float]] = {}
    for each in (spared for of_case in seen.spared.values() for spared in of_case):
        sums = found.setdefault(each.by, {"calls": 0, "usd": 0.0})
        sums["calls"] += each.calls
        sums["usd"] = round(sums["usd"] + each.usd, 9)
    return found


def _tokens(ledger: Ledger) -> dict[str, int]:
    usages = [call.outcome.usage for call in ledger.calls]
    return {
        "in": sum(usage.prompt for usage in usages),
        "out": sum(usage.completion for usage in usages),
        "cached": sum(usage.cached for usage in usages),
    }


def _cost(seen: Topics) -> float:
    """The cost of the calls whose recipe and model are known."""
    cost = 0.0
    for call, recipe_id in seen.calls.values():
        recipe = seen.recipes.get(recipe_id)
        if recipe is None or call.alias not in recipe.models:
            continue
        model = recipe.models[call.alias]
        cost += (call.usage.prompt * model.price_in + call.usage.completion * model.price_out) / 1_000_000
    return cost

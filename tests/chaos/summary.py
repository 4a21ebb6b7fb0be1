"""The summary of a run: counted from the topics, the ledger and the model server's log, never from our metrics.

In addition to the audit of every run (services.local.audit.report), summary.json has

    cases                   questions that entered the stream and must end
    ended_once              of these, those whose last life ended exactly once
    faults                  injected, by kind; `reply_faults`: corrupted replies, from the server's log
    recoveries              by kind, seconds from the end of the fault until router and stages published, and until all
                            processes were ready
    late                    faults of brokers, ledger or model server with no progress within 30 s (a defect)
    stuck                   faults without full recovery within 120 s, or that could not be injected, such as a circuit
                            that stayed open (a defect)
    repeats                 repeated starts of a call, by cause; `unexplained` is a defect
    against_ledger          starts while the ledger had the reply or another owner's live lease (a defect)
    unfenced                such starts by a process that was paused between its check and its request
    poison, poison_lost     malformed messages written; those without a dead letter of the same bytes (a defect)
    poison_differing        dead letters of poison with other bytes (a defect)
    marks_lost              cases that lost a field of a later version (a defect)
    unleased                starts of a process without a live lease of its own (a defect)
    unkept                  replies that were sent, are not in the ledger, and were not asked again (a defect); without
                            cases that were dead letters, for which it cannot be determined
    dead_letters            of good cases, by kind; defect_letters are defects
    innocent_killers        cases with a dead letter `killer` that did not kill (a defect)
    left_out                planned faults that did not fit into the time limit (a defect)
    redriven                cases that were dead letters and ended otherwise after a redrive
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from services import recipes
from services.contracts.base import WorkId
from services.contracts.codec import decode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.contracts.topics import CASE_ACCEPTED, CASE_REJECTED, topics
from services.core.endpoint import Endpoint
from services.core.messages import ConsumedRecord
from services.datasets.dataset import read_dataset
from services.local.audit.report import Ledger, LogLine, audit_report
from services.local.audit.topic_counts import Topics
from services.runtime.kafka.reader import read_topic
from tests.chaos.causes import against_ledger, by_cause, explain, unkept, unleased
from tests.chaos.controller import Injected
from tests.chaos.rig import LEASE_S, Rig
from tests.chaos.schedule import Kind, Planned

PROGRESS_WITHIN_S = 30.0
"""Time for progress after a broker, the ledger or a model server is back."""
SERVERS = frozenset(
    {
        Kind.BROKER_STOPPED,
        Kind.BROKER_RESTARTED,
        Kind.LEADER_KILLED,
        Kind.TWO_KILLED,
        Kind.KAFKA_DISK_FULL,
        Kind.LEDGER_AWAY,
        Kind.LEDGER_SLOW,
        Kind.LEDGER_DISK_FULL,
        Kind.MODEL_AWAY,
        Kind.MODEL_SLOW,
        Kind.MODEL_401,
        Kind.MODEL_429,
        Kind.MODEL_500,
        Kind.MODEL_RESET,
        Kind.MODEL_502,
        Kind.MODEL_403,
        Kind.MODEL_ERROR_IN_200,
        Kind.MODEL_INTERRUPTED,
        Kind.POOL_RESIZED,
    }
)
ZERO = (
    "missing",
    "two_ends",
    "differing_repeats",
    "duplicate_records",
    "untraceable_records",
    "unexported_records",
    "route_mismatches",
    "against_ledger",
    "unleased",
    "unkept",
    "unexplained",
    "defect_letters",
    "innocent_killers",
    "left_out",
    "late",
    "stuck",
    "poison_lost",
    "poison_differing",
    "marks_lost",
    "still_dead",
)
"""Counts that must be 0."""


REPLACED = ("ended", "missing", "dead_letters", "calls_against_ledger", "call_repeats")
"""Audit fields that are replaced here by counts that consider the controller's faults."""


class TopicAudit:
    """The topics of a run; messages that the controller wrote to be rejected are counted separately."""

    def __init__(self, poison: Mapping[tuple[str, int, int], bytes]) -> None:
        self.topics = Topics()
        self.poison_dead: defaultdict[tuple[str, int, int], set[bytes]] = defaultdict(set)
        self.marks: defaultdict[str, list[bool]] = defaultdict(list)
        self.dead_cases: set[str] = set()
        self.letters: Counter[str] = Counter()
        self.killers: set[str] = set()
        self._poison = poison

    def take(self, message: ConsumedRecord, marked: Mapping[str, str]) -> None:
        """Count one message."""
        if (message.topic, message.partition, message.offset) in self._poison:
            return
        key = (message.key or b"").decode(errors="replace")
        if topics()[message.topic].message == "dead_letter":
            letter = decode(DeadLetter, message.headers[DEAD_LETTER_HEADER])
            origin = letter.topic, letter.partition, letter.offset
            if origin in self._poison:
                self.poison_dead[origin].add(message.value or b"")
                return
            self.dead_cases.add(key)
            self.letters[letter.kind] += 1
            if letter.kind == "killer":
                self.killers.add(key)
        if message.topic in (CASE_ACCEPTED, CASE_REJECTED) and key in marked:
            self.marks[key].append(marked[key] in orjson.loads(message.value or b"{}"))
        self.topics.take(message)


async def summarise(rig: Rig, plan: Sequence[Planned], injected: Sequence[Injected], seconds: float) -> dict[str, Any]:
    """Summarise a run after its services have drained."""
    known = rig.known
    seen = TopicAudit(known.poison)
    async for message in read_topic(rig.stack.client, *topics()):
        seen.take(message, known.marked)
    seen.topics.questions |= known.admitted
    held = Ledger(calls=await rig.ledger.books.calls(), claims=await rig.ledger.books.claims())
    log = [orjson.loads(line) for line in rig.log.read_bytes().splitlines()]
    ids = read_dataset(rig.stack.dataset).column("record_id").to_pylist()
    report = audit_report(
        seen.topics, held, log, ids, used=rig.stack.used(), seconds=seconds, dataset=rig.stack.dataset
    )
    repeats = explain(log, held.claims, held.calls, known.lives, known.pauses, known.outages, LEASE_S, _timeouts_s())
    defects, unfenced = against_ledger(log, held.claims, held.calls, known.pauses)
    ended = seen.topics.ended_questions()
    still_dead = _still_dead(seen.topics)
    return {
        **{name: value for name, value in report.items() if name not in REPLACED},
        "seed": rig.options.seed,
        "brokers": rig.options.brokers,
        "ledger": rig.options.ledger,
        "cases": len(known.expected),
        "ended_once": len(known.expected & ended) - report["two_ends"],
        "missing": len(known.expected - ended),
        "dead_letters": dict(seen.letters),
        "defect_letters": seen.letters["defect"],
        "innocent_killers": len(seen.killers - known.killers),
        "still_dead": len(still_dead & known.expected),
        "redriven": len((seen.dead_cases & known.expected) - still_dead),
        "faults": dict(Counter(fault.kind.value for fault in injected)),
        "faults_injected": len(injected),
        "reply_faults": _reply_faults(log),
        "recoveries": _recoveries(injected),
        "late": sum(f.kind in SERVERS and (f.moving_s is None or f.moving_s > PROGRESS_WITHIN_S) for f in injected),
        "stuck": known.failed + sum(fault.moving_s is None or fault.ready_s is None for fault in injected),
        "left_out": len(plan) - len(injected),
        "repeats": by_cause(repeats),
        "unexplained": sum(repeat.cause == "unexplained" for repeat in repeats),
        "against_ledger": len(defects),
        "unfenced": len(unfenced),
        "unleased": len(unleased(log, held.claims, known.pauses)),
        "unkept": len([start for start in unkept(log, held.calls) if start.case_id not in seen.dead_cases]),
        "poison": len(known.poison),
        "poison_lost": sum(value not in seen.poison_dead[place] for place, value in known.poison.items()),
        "poison_differing": sum(len(values) > 1 for values in seen.poison_dead.values()),
        "marks_lost": sum(not all(seen.marks[case_id] or [False]) for case_id in known.marked),
        "restarts": {name: history.exit_codes for name, history in rig.stack.workers.histories().items()},
    }


def defects(summary: Mapping[str, Any]) -> dict[str, int]:
    """The counts that should be 0 and are not."""
    return {name: summary[name] for name in ZERO if summary[name]}


def _timeouts_s() -> dict[str, float]:
    """A call's time-out by stage, as the workers derive it: all recipes of a run have the default's tokens."""
    recipe, endpoint = recipes.load("default"), Endpoint("http://localhost/v1")
    tasks = {name: getattr(recipe, name) for name in ("verify", "score", "refine", "reason", "summarize")}
    tokens = {name: task.sampling.max_tokens for name, task in tasks.items() if task is not None}
    tokens["generate"] = recipe.generate.max_tokens
    return {stage: endpoint.timeout_for(most) for stage, most in tokens.items()}


def _still_dead(seen: Topics) -> set[str]:
    """Cases of which a work ended its last life as a dead letter."""
    last: dict[WorkId, int] = {}
    for work, life in seen.ends():
        last[work] = max(last.get(work, 0), life)
    return {seen.case_of[work][0] for work, life in last.items() if seen.ends()[work, life] == {"dead"}}


def _reply_faults(log: Sequence[LogLine]) -> dict[str, int]:
    return dict(Counter(line["fault"] for line in log if line.get("fault") is not None))


def _recoveries(injected: Sequence[Injected]) -> dict[str, dict[str, float | int | None]]:
    by_kind: defaultdict[str, list[Injected]] = defaultdict(list)
    for fault in injected:
        by_kind[fault.kind.value].append(fault)
    return {kind: _spread(those) for kind, those in sorted(by_kind.items())}


def _spread(faults: Sequence[Injected]) -> dict[str, float | int | None]:
    moving = [fault.moving_s for fault in faults if fault.moving_s is not None]
    ready = [fault.ready_s for fault in faults if fault.ready_s is not None]
    return {
        "times": len(faults),
        "moving_median_s": round(statistics.median(moving), 1) if moving else None,
        "moving_worst_s": round(max(moving), 1) if moving else None,
        "ready_median_s": round(statistics.median(ready), 1) if ready else None,
        "ready_worst_s": round(max(ready), 1) if ready else None,
    }

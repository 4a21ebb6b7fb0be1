"""A bounded run: submits questions, waits until all have ended, completes the dataset, and audits the run."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from services.core.messages import OutgoingRecord
from services.importers.submit import submit
from services.local.audit.calls import Calls, counter
from services.local.audit.calls import Counter as CallCounter
from services.local.audit.evidence import audit_run
from services.local.audit.full_plan import FullPlan
from services.local.processes.process import Process
from services.local.progress import FOLLOWED, End, Progress
from services.local.stack import Stack
from services.runtime.kafka.reader import follow_topic
from services.runtime.kafka.sink import KafkaSink

UPDATE_S = 0.5
"""Seconds between updates of the call counts and the view."""

FAULTS = (
    "missing",
    "two_ends",
    "differing_repeats",
    "duplicate_records",
    "untraceable_records",
    "unexported_records",
    "route_mismatches",
    "full_plan_mismatches",
    "calls_against_ledger",
)
"""Fields of the audit report that must be 0. They are None or absent if they cannot be counted."""


@dataclass(frozen=True)
class Snapshot:
    """The progress of a run."""

    elapsed_s: float
    questions: int
    """Submitted questions."""
    cases: Mapping[str, int]
    """Distinct cases by topic."""
    ends: Mapping[End, int]
    records: int
    calls: Calls


@dataclass(frozen=True)
class Result:
    """The result of a run."""

    audit: Mapping[str, Any]
    open: Mapping[str, str]
    """Cases that have not ended at the deadline, each with the last topic that it reached."""

    @property
    def faults(self) -> dict[str, int]:
        """The fields of the audit report that should be 0 and are not."""
        return {name: self.audit[name] for name in FAULTS if self.audit.get(name)}


Show = Callable[[Snapshot], None]


async def run(
    stack: Stack,
    questions: Sequence[OutgoingRecord],
    *,
    deadline_s: float,
    full_plan: FullPlan | None = None,
    show: Show = lambda snapshot: None,
    say: Callable[[str], None] = lambda step: None,
) -> Result:
    """Submit distinct questions, wait until each has ended (counted from the topics) or `deadline_s` seconds have
    passed, stop the services, complete the dataset, and write the audit report to summary.json in the stack's folder.

    Raises BrokerAway, ProcessError (Kafka or the model server ended; the dataset could not be completed).
    """
    progress, case_ids = Progress(), {question.key.decode() for question in questions}
    seconds = await _until_ended(stack, questions, case_ids, progress, deadline_s, show)
    say("draining the services")
    await stack.drain()
    say("completing the dataset, counting")
    await _export(stack)
    summary = await audit_run(
        stack.client,
        ledger=stack.ledger,
        log=stack.model.log,
        dataset=stack.dataset,
        used=stack.used(),
        seconds=seconds,
        full_plan=full_plan,
    )
    write_summary(stack.plan.folder, summary)
    return Result(summary, progress.open(case_ids))


def write_summary(folder: Path, report: Mapping[str, Any]) -> Path:
    """Write the audit report to FOLDER/summary.json; returns the path."""
    path = folder / "summary.json"
    path.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path


async def _until_ended(
    stack: Stack,
    questions: Sequence[OutgoingRecord],
    case_ids: set[str],
    progress: Progress,
    deadline_s: float,
    show: Show,
) -> float:
    """Returns the seconds from the submission to the last end."""
    clock = asyncio.get_running_loop().time
    following = asyncio.create_task(_follow(stack, progress, case_ids))
    began = clock()
    try:
        async with KafkaSink(stack.client) as sink, counter(stack.model.log, stack.ledger) as calls:
            await submit(questions, sink)
            while not following.done() and clock() - began < deadline_s:
                await asyncio.wait((following,), timeout=UPDATE_S)
                stack.check()
                show(await _snapshot(progress, calls, clock() - began))
            if following.done():
                following.result()
        return clock() - began
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _follow(stack: Stack, progress: Progress, case_ids: set[str]) -> None:
    """Return when every case has ended."""
    async with aclosing(follow_topic(stack.client, *FOLLOWED)) as messages:
        async for message in messages:
            progress.take(message)
            if len(progress.ends) >= len(case_ids) and case_ids <= progress.ends.keys():
                return


async def _snapshot(progress: Progress, calls: CallCounter, elapsed_s: float) -> Snapshot:
    cases = progress.counts()
    return Snapshot(
        elapsed_s=elapsed_s,
        questions=cases.get(FOLLOWED[0], 0),
        cases=cases,
        ends=Counter(progress.by_end()),
        records=len(progress.records),
        calls=await calls.count(),
    )


async def _export(stack: Stack) -> None:
    """Export the records that the exporter had not read when it stopped."""
    command = stack.command(("exporter", "--once"), "exporter-once")
    async with Process("exporter --once", command.argv, log=command.log, env=command.env, cwd=command.cwd) as exporter:
        await exporter.succeed()

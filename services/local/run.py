"""A bounded run through a stack: questions in, all ends awaited, the dataset complete, the account written."""

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
from services.local.audit.evidence import account_of
from services.local.processes.process import Process
from services.local.progress import FOLLOWED, End, Progress
from services.local.stack import Stack
from services.runtime.kafka.reader import follow_topic
from services.runtime.kafka.sink import KafkaSink

LOOK_S = 0.5
"""Seconds between two looks: at the calls, and for the view."""

FAULTS = (
    "missing",
    "two_ends",
    "differing_repeats",
    "duplicate_records",
    "untraceable_records",
    "unexported_records",
    "route_mismatches",
    "calls_against_ledger",
)
"""What an account must say 0 of; None where it can't be told."""


@dataclass(frozen=True)
class Snapshot:
    """Where a run stands."""

    elapsed_s: float
    questions: int
    """Handed in."""
    cases: Mapping[str, int]
    """Distinct cases by topic."""
    ends: Mapping[End, int]
    records: int
    calls: Calls


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    account: Mapping[str, Any]
    open: Mapping[str, str]
    """Cases without an end at the deadline, each with the last topic that it was seen in."""

    @property
    def faults(self) -> dict[str, int]:
        """What the account should say 0 of and doesn't."""
        return {name: self.account[name] for name in FAULTS if self.account[name]}


Show = Callable[[Snapshot], None]


async def run(
    stack: Stack,
    questions: Sequence[OutgoingRecord],
    *,
    deadline_s: float,
    show: Show = lambda snapshot: None,
    say: Callable[[str], None] = lambda step: None,
) -> Result:
    """Submit distinct questions, wait until each has ended (counted from the topics) or `deadline_s` seconds have
    passed, stop the services, complete the dataset, and write the account to summary.json in the stack's folder.

    Raises BrokerAway, ProcessError (Kafka or the model server ended; the dataset could not be completed).
    """
    progress, case_ids = Progress(), {question.key.decode() for question in questions}
    seconds = await _until_ended(stack, questions, case_ids, progress, deadline_s, show)
    say("draining the services")
    await stack.drain()
    say("completing the dataset, counting")
    await _export(stack)
    summary = await account_of(
        stack.client,
        ledger=stack.ledger,
        log=stack.model.log,
        dataset=stack.dataset,
        used=stack.used(),
        seconds=seconds,
    )
    write_summary(stack.plan.folder, summary)
    return Result(summary, progress.open(case_ids))


def write_summary(folder: Path, account: Mapping[str, Any]) -> Path:
    """The account as FOLDER/summary.json."""
    path = folder / "summary.json"
    path.write_bytes(orjson.dumps(account, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path


async def _until_ended(
    stack: Stack,
    questions: Sequence[OutgoingRecord],
    case_ids: set[str],
    progress: Progress,
    deadline_s: float,
    show: Show,
) -> float:
    """Seconds from the submission to the last end."""
    clock = asyncio.get_running_loop().time
    following = asyncio.create_task(_follow(stack, progress, case_ids))
    began = clock()
    try:
        async with KafkaSink(stack.client) as sink, counter(stack.model.log, stack.ledger) as calls:
            await submit(questions, sink)
            while not following.done() and clock() - began < deadline_s:
                await asyncio.wait((following,), timeout=LOOK_S)
                stack.check()
                show(await _look(progress, calls, clock() - began))
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


async def _look(progress: Progress, calls: CallCounter, elapsed_s: float) -> Snapshot:
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
    """What the exporter had not read when it was stopped."""
    command = stack.command(("exporter", "--once"), "exporter-once")
    async with Process("exporter --once", command.argv, log=command.log, env=command.env, cwd=command.cwd) as exporter:
        await exporter.succeed()

"""The controller: injects faults one after another and measures the recovery of the stream."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

from services.contracts.question import Question
from services.local.processes.supervisor import WorkerState
from tests.chaos import messages, processes, servers
from tests.chaos.questions import questions
from tests.chaos.rig import Rig
from tests.chaos.schedule import Kind, Planned

Inject = Callable[[Rig, Random], Awaitable[str]]
"""Injects a fault and removes it; returns its target."""

RECOVERED_WITHIN_S = 120.0
"""After this time the stream counts as stuck, which fails the run."""
CHECK_S = 0.2
SETTLED_S = 2.5
"""Seconds of continuous readiness: two heartbeats, after which a member knows that it was removed from its group."""


@dataclass(frozen=True)
class Injected:
    """An injected fault, and the recovery of the stream."""

    number: int
    kind: Kind
    target: str
    began: float
    healed: float
    """Unix seconds: the start of the recovery."""
    moving_s: float | None
    """Until the router and a stage that calls models had both published; None: not within RECOVERED_WITHIN_S."""
    ready_s: float | None
    """Until every process reported ready."""


def injector(kind: Kind) -> Inject:
    """The function that injects this kind of fault: it has the same name."""
    for module in (processes, servers, messages):
        if inject := getattr(module, kind.value, None):
            found: Inject = inject
            return found
    raise LookupError(kind)


async def inject_all(rig: Rig, plan: list[Planned], cases: int, until: float) -> list[Injected]:
    """Inject the planned faults, each with its share of the questions, half before and half after it. No fault starts
    after `until`."""
    asked = questions(cases)
    share, rest = divmod(cases, max(1, len(plan)))
    done: list[Injected] = []
    for planned in plan:
        if time.time() > until:
            rig.say(f"time limit reached: {len(plan) - len(done)} faults are left out")
            break
        more = share + (planned.number <= rest)
        done.append(await _inject(rig, planned, _take(asked, more // 2), _take(asked, more - more // 2)))
        rig.say(_line(rig, done[-1], len(plan)))
    rig.submit(asked, Random(rig.options.seed))
    return done


async def _inject(rig: Rig, planned: Planned, before: list[Question], after: list[Question]) -> Injected:
    chance = Random(planned.seed)
    rig.submit(before, chance)
    await asyncio.sleep(chance.uniform(0.0, 2.0))
    began = time.time()
    try:
        target = await injector(planned.kind)(rig, chance)
    except Exception as error:  # the run continues; the fault counts as stuck
        rig.say(f"{planned.kind} could not be injected: {type(error).__name__}: {error}")
        rig.submit(after, chance)
        return Injected(planned.number, planned.kind, "failed", began, time.time(), None, None)
    healed = time.time()
    rig.submit(after, chance)
    moving, ready = await asyncio.gather(_until_moving(rig, healed), _until_all_ready(rig, healed))
    return Injected(planned.number, planned.kind, target, began, healed, moving, ready)


async def _until_moving(rig: Rig, since: float) -> float | None:
    moved = await rig.until(lambda: rig.moved_since(since), RECOVERED_WITHIN_S)
    return time.time() - since if moved else None


async def _until_all_ready(rig: Rig, since: float) -> float | None:
    """Seconds until the last check with a process that was not ready. Checks continue for SETTLED_S, because a process
    that was paused learns only later what it missed."""
    last_not_ready = since
    while (now := time.time()) - since < RECOVERED_WITHIN_S:
        names = [
            name for name, history in rig.stack.workers.histories().items() if history.state != WorkerState.STOPPED
        ]
        if any(await asyncio.gather(*(rig.why_not_ready(name) for name in names))):
            last_not_ready = now
        elif now - max(since, last_not_ready) >= SETTLED_S:
            return last_not_ready - since
        await asyncio.sleep(CHECK_S)
    return None


def _take(asked: Iterator[Question], count: int) -> list[Question]:
    return list(islice(asked, count))


def _line(rig: Rig, fault: Injected, of: int) -> str:
    def seconds(value: float | None) -> str:
        return "never" if value is None else f"{value:.1f} s"

    ended, expected = len(rig.progress.ends.keys() & rig.known.expected), len(rig.known.expected)
    return (
        f"{fault.number:>3}/{of} {fault.kind:<18} {fault.target:<24} took {fault.healed - fault.began:5.1f} s, "
        f"moving after {seconds(fault.moving_s)}, all ready after {seconds(fault.ready_s)}; {ended} of {expected} ended"
    )

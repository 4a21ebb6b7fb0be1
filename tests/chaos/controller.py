"""The controller: one fault after the other, each followed by a look at how long the stream takes to go on."""

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
"""Brings a fault about and takes it away again; says whom it hit."""

RECOVERED_WITHIN_S = 120.0
"""Beyond it the stream is held to stand still, which fails the run."""
LOOK_S = 0.2
SETTLED_S = 2.5
"""Ready for so long: two heartbeats, by which a member learns that it was put out of its group."""


@dataclass(frozen=True)
class Injected:
    """A fault that was, and how the stream came back."""

    number: int
    kind: Kind
    target: str
    began: float
    healed: float
    """Unix seconds: from here the stream's own recovery counts."""
    moving_s: float | None
    """Until the router and a stage that waits for models had both written; None: not within RECOVERED_WITHIN_S."""
    ready_s: float | None
    """Until every process said that it is ready."""


def injector(kind: Kind) -> Inject:
    """What brings a kind of fault about: the function of its name."""
    for module in (processes, servers, messages):
        if inject := getattr(module, kind.value, None):
            found: Inject = inject
            return found
    raise LookupError(kind)


async def inject_all(rig: Rig, plan: list[Planned], cases: int, until: float) -> list[Injected]:
    """Each planned fault, with its share of the questions, half before it and half after; none once the clock has
    passed `until`."""
    asked = questions(cases)
    share, rest = divmod(cases, max(1, len(plan)))
    done: list[Injected] = []
    for planned in plan:
        if time.time() > until:
            rig.say(f"the time is over: {len(plan) - len(done)} faults are left out")
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
    except Exception as error:  # the run goes on: what failed is counted as stuck
        rig.say(f"{planned.kind} did not come about as it should: {type(error).__name__}: {error}")
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
    """Until the last look at which one was not: looks go on for SETTLED_S, for at first a process that stood still may
    not know what it has missed."""
    last_not_ready = since
    while (now := time.time()) - since < RECOVERED_WITHIN_S:
        names = [name for name, account in rig.stack.workers.accounts().items() if account.state != WorkerState.STOPPED]
        if any(await asyncio.gather(*(rig.why_not_ready(name) for name in names))):
            last_not_ready = now
        elif now - max(since, last_not_ready) >= SETTLED_S:
            return last_not_ready - since
        await asyncio.sleep(LOOK_S)
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

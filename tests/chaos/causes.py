"""Classify repeated model calls: each repeat is matched with an injected fault.

A *repeat* is a start of a call id after its first start. Its cause is the failure of the start before it. A fault
counts only if its process and its time match, so a repeat without a match is a defect. The classification is a pure
function of the scripted server's log, the ledger's rows and the controller's records, all in Unix seconds of one
machine's clock.

A process loses a sent reply, or a call in flight, for one of these causes:

    killed        it ended by a signal
    exited        it exited with an error; calls in flight were cancelled at the end of its own drain
    drained       it reached the deadline of its drain
    paused        it was paused, its lease expired, and another owner took the call
    ledger_away   the ledger was unavailable, and the lease expired without a renewal

If nothing was lost, the server had `withheld` the reply, or the call `timed_out`: its process closed the connection at
the stage's time-out. If a process is paused between the check of its lease and the request, and the lease expires
meanwhile, the start cannot be fenced: it is `unfenced`, and ignored for other repeats.
No other start may contradict the ledger (below).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from services.core.ledger.ports import CallRow, ClaimRow
from services.local.audit.report import LogLine
from tests.chaos.starts import CLOCK_S, Leases, Start, last_lines, leases_of, own_lease, starts_of

SENT_S = 1.0
"""Most seconds from the end of a pause to the arrival of a request decided before it, on a busy machine."""
PROMPT_S = 3.0
"""Most seconds until a running process renews its leases after a pause or an outage: a try takes at most 2 s, the next
follows after 1 s. Also the most seconds until the controller sees an exit."""
QUICK_S = 2.0
"""Most seconds until a running process on a busy machine has stored a reply, without a fault."""
WRITTEN_S = 10.0
"""The same after a pause or an outage: a try takes at most 5 s, the next follows after 5 s."""


class Cause(StrEnum):
    """The cause of a repeat, as described above."""

    WITHHELD = "withheld"
    KILLED = "killed"
    EXITED = "exited"
    DRAINED = "drained"
    PAUSED = "paused"
    LEDGER_AWAY = "ledger_away"
    TIMED_OUT = "timed_out"
    UNFENCED = "unfenced"
    UNEXPLAINED = "unexplained"
    """A defect."""


@dataclass(frozen=True)
class Life:
    """A process of the worker `name`, from its start to its observed end (None: it is running)."""

    name: str
    pid: int
    began: float
    ended: float | None
    how: Literal["killed", "exited", "stopped"]
    """By a signal; with an error; by SIGTERM, after a drain."""
    cut: float | None = None
    """The time of its drain deadline (SIGTERM plus the drain time-out), if it still ran then."""


@dataclass(frozen=True)
class Pause:
    """From before SIGSTOP to after SIGCONT."""

    pid: int
    since: float
    until: float


@dataclass(frozen=True)
class Outage:
    """The ledger was unavailable or slow, from before the fault to after it."""

    since: float
    until: float
    pid: int | None = None
    """For this process only; None: for all."""


@dataclass(frozen=True)
class Repeat:
    """A repeated start of a call, the owner of the earlier start that explains it, and its cause."""

    call_id: str
    stage: str
    at: float
    owner: str
    previous: str
    cause: Cause


def explain(
    log: Sequence[LogLine],
    claims: Sequence[ClaimRow],
    calls: Sequence[CallRow],
    lives: Sequence[Life],
    pauses: Sequence[Pause],
    outages: Sequence[Outage],
    lease_s: float,
    timeouts_s: Mapping[str, float],
) -> list[Repeat]:
    """All repeats with their causes, ordered by time. `lease_s`: a lease in seconds; it is renewed three times within
    it. `timeouts_s`: a call's time-out, by stage."""
    starts = starts_of(log)
    leases = leases_of(claims)
    against = set(_against(starts, leases, calls))
    unfenced = {start for start in starts if _is_unfenced(start, leases[start.call_id], pauses)}
    evidence = _Evidence(leases, lives, pauses, outages, lease_s, timeouts_s, last_lines(log))
    by_call: defaultdict[str, list[Start]] = defaultdict(list)
    repeats = []
    for start in starts:
        earlier = by_call[start.call_id]
        if earlier:
            judged_by = next((other for other in reversed(earlier) if other not in unfenced), None)
            if start in unfenced:
                cause = Cause.UNFENCED
            elif start in against:
                cause = Cause.UNEXPLAINED
            elif judged_by is None:
                cause = Cause.UNFENCED
            else:
                cause = evidence.cause(judged_by, start)
            previous = (judged_by or earlier[-1]).owner
            repeats.append(Repeat(start.call_id, start.stage, start.at, start.owner, previous, cause))
        earlier.append(start)
    return repeats


def against_ledger(
    log: Sequence[LogLine], claims: Sequence[ClaimRow], calls: Sequence[CallRow], pauses: Sequence[Pause]
) -> tuple[list[Start], list[Start]]:
    """The starts while the ledger had the reply or another owner's live lease: defects and unfenced starts. A start is
    unfenced if it is within SENT_S of the end of a pause of its process, and its own latest lease was live at the
    beginning of the pause and expired in it. A claim, renewal or release after the pause makes it a defect.
    """
    leases = leases_of(claims)
    against = _against(starts_of(log), leases, calls)
    unfenced = [start for start in against if _is_unfenced(start, leases[start.call_id], pauses)]
    return [start for start in against if start not in unfenced], unfenced


def unleased(log: Sequence[LogLine], claims: Sequence[ClaimRow], pauses: Sequence[Pause]) -> list[Start]:
    """The starts without a lease of the process, or with an expired one: defects, except for unfenced starts."""
    leases = leases_of(claims)
    return [
        start
        for start in starts_of(log)
        if ((own := own_lease(start, leases[start.call_id])) is None or start.at > own.until + CLOCK_S)
        and not _is_unfenced(start, leases[start.call_id], pauses)
    ]


def unkept(log: Sequence[LogLine], calls: Sequence[CallRow]) -> list[Start]:
    """The last starts of calls whose reply was sent but is not in the ledger: paid for, and lost."""
    kept = {call.call_id for call in calls}
    last = {start.call_id: start for start in starts_of(log)}
    return [start for start in last.values() if start.delivered and start.call_id not in kept]


def by_cause(repeats: Iterable[Repeat]) -> dict[str, int]:
    """The number of repeats by cause, including zeros."""
    counts = Counter(repeat.cause for repeat in repeats)
    return {cause.value: counts[cause] for cause in Cause}


# --- contradictions of the ledger ------------------------------------------------------------------------------------


def _against(starts: Iterable[Start], leases: Leases, calls: Iterable[CallRow]) -> list[Start]:
    held_since: dict[str, float] = {call.call_id: call.at for call in calls}
    return [
        start
        for start in starts
        if start.at > held_since.get(start.call_id, math.inf) + CLOCK_S
        or any(
            lease.owner != start.owner and lease.since + CLOCK_S < start.at < lease.until - CLOCK_S
            for lease in leases.get(start.call_id, ())
        )
    ]


def _is_unfenced(start: Start, leases: Sequence[ClaimRow], pauses: Iterable[Pause]) -> bool:
    own = own_lease(start, leases)
    return own is not None and any(
        pause.pid == start.pid
        and own.since <= pause.since < own.until <= min(pause.until, start.at)
        and start.at <= pause.until + SENT_S
        for pause in pauses
    )


# --- the failure of a start ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Evidence:
    leases: Leases
    lives: Sequence[Life]
    pauses: Sequence[Pause]
    outages: Sequence[Outage]
    lease_s: float
    timeouts_s: Mapping[str, float]
    last_lines: Mapping[int, float]

    def cause(self, start: Start, repeat: Start) -> Cause:
        """Why the start failed, so that the repeat was needed."""
        if start.end == math.inf and self.last_lines[start.server] < repeat.at:
            return Cause.WITHHELD  # the server died before it could notice its client's death
        if start.owner != repeat.owner:
            lost = self._end_of_process(start, repeat) or self._loss_of_lease(start, repeat)
            if lost is not None:
                return lost
        if start.end <= repeat.at + CLOCK_S and (start.withheld or self._server_stopped(start, repeat)):
            return Cause.WITHHELD
        if start.owner == repeat.owner and start.end <= repeat.at + CLOCK_S and self._timed_out(start):
            return Cause.TIMED_OUT
        return Cause.UNEXPLAINED

    def _timed_out(self, start: Start) -> bool:
        """Whether its client left at the stage's time-out, which it counts from before the request's arrival."""
        early = self.timeouts_s[start.stage] - (start.end - start.at)
        return start.status is None and -QUICK_S <= early <= SENT_S

    def _server_stopped(self, start: Start, repeat: Start) -> bool:
        """Whether it ended without a reply because the server shut down and was replaced."""
        stopped = self.last_lines[start.server] <= start.end + SENT_S
        return start.status is None and stopped and start.server != repeat.server

    def _end_of_process(self, start: Start, repeat: Start) -> Cause | None:
        life = self._life(start)
        if life is None or life.ended is None:
            return None
        if life.how == "stopped":
            return Cause.DRAINED if life.cut is not None and self._is_cut(start, repeat, life.cut) else None
        if life.ended > repeat.at + PROMPT_S or not self._is_pending(start, life.ended - PROMPT_S):
            return None
        return Cause.KILLED if life.how == "killed" else Cause.EXITED

    def _is_cut(self, start: Start, repeat: Start, cut: float) -> bool:
        return start.at <= cut <= repeat.at + CLOCK_S and self._is_pending(start, cut)

    def _life(self, start: Start) -> Life | None:
        """The process that sent it, if its end is known."""
        return next(
            (
                life
                for life in self.lives
                if life.pid == start.pid
                and start.owner.startswith(f"{life.name}-")
                and life.began - PROMPT_S <= start.at
                and (life.ended is None or start.at <= life.ended + PROMPT_S)
            ),
            None,
        )

    def _loss_of_lease(self, start: Start, repeat: Start) -> Cause | None:
        lease = own_lease(start, self.leases.get(start.call_id, ()))
        if lease is None or lease.ended != "open" or start.at > lease.until + CLOCK_S:
            return None
        if any(self._kept_from_renewing(trouble, lease, start) for trouble in self._pauses_of(start)):
            return Cause.PAUSED
        gave_up = start.status is None and start.end <= repeat.at  # a running process has no reason to
        if not gave_up and any(self._kept_from_renewing(trouble, lease, start) for trouble in self._outages_of(start)):
            return Cause.LEDGER_AWAY
        return None

    def _kept_from_renewing(self, trouble: Pause | Outage, lease: ClaimRow, start: Start) -> bool:
        """Whether the fault prevented a renewal. A renewal is due two thirds of a lease before its end and may take one
        third; the fault must have lasted until there was no time left for another one."""
        return (
            trouble.since <= lease.until - self.lease_s / 3
            and lease.until <= trouble.until + PROMPT_S
            and self._is_pending(start, trouble.since)
        )

    def _is_pending(self, start: Start, by: float) -> bool:
        """Whether at that time the call was unanswered, or its reply not stored yet."""
        if start.end >= by - CLOCK_S:
            return True
        if not start.delivered:
            return False
        troubles: list[Pause | Outage] = [*self._pauses_of(start), *self._outages_of(start)]
        free, grace = start.end, QUICK_S
        for trouble in sorted(troubles, key=lambda trouble: trouble.since):
            if trouble.since <= free + grace and trouble.until >= free:
                free, grace = trouble.until, WRITTEN_S
        return by <= free + grace

    def _outages_of(self, start: Start) -> list[Outage]:
        return [outage for outage in self.outages if outage.pid in (None, start.pid)]

    def _pauses_of(self, start: Start) -> list[Pause]:
        return [pause for pause in self.pauses if pause.pid == start.pid]

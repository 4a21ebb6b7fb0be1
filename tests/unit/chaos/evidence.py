"""Evidence of a run, made by hand."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from services.contracts.base import CallId
from services.contracts.case import Usage
from services.core.ledger.calls import Reply
from services.core.ledger.ports import CallRow, ClaimRow
from tests.chaos.causes import Cause, Life, Outage, Pause, Repeat, against_ledger, explain

LEASE_S = 15.0
TIMEOUT_S = 110.0
A, A_PID = "generator-1-generator-101-aaaa", 101
B, B_PID = "generator-2-generator-202-bbbb", 202
CALL = CallId("call-1")
OLD, NEW = 1, 2
"""Processes of the model server."""


@dataclass
class Run:
    """Evidence made by hand; times count from 0."""

    log: list[dict[str, Any]] = field(default_factory=list)
    claims: list[ClaimRow] = field(default_factory=list)
    calls: list[CallRow] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)

    def start(
        self,
        owner: str,
        at: float,
        end: float | None = None,
        status: int | None = 200,
        *,
        withheld: bool = False,
        server: int = OLD,
        call_id: str = CALL,
    ) -> None:
        n = len(self.log)
        named = {"n": n, "server": server, "id": call_id, "owner": owner, "stage": "verify", "case": "case-1"}
        self.log.append({"event": "start", **named, "at": at})
        if end is not None:
            notes = {"fault": "500", "withheld": True} if withheld else {}
            self.log.append({"event": "end", **named, "start": at, "end": end, "status": status, **notes})

    def lease(
        self, owner: str, since: float, until: float, ended: Literal["completed", "released", "open"] = "open"
    ) -> None:
        self.claims.append(ClaimRow(CALL, owner, since, until, ended))

    def reply(self, owner: str, at: float) -> None:
        self.calls.append(CallRow(CALL, owner, at, Reply("", "stop", Usage())))

    def explain(self) -> list[Repeat]:
        lives, timeouts = self.lives, {"verify": TIMEOUT_S}
        return explain(self.log, self.claims, self.calls, lives, self.pauses, self.outages, LEASE_S, timeouts)

    def cause(self) -> Cause:
        (repeat,) = self.explain()
        return repeat.cause

    def against(self) -> tuple[list[str], list[str]]:
        """The owners of the starts against the ledger: defects, unfenced."""
        defects, unfenced = against_ledger(self.log, self.claims, self.calls, self.pauses)
        return [start.owner for start in defects], [start.owner for start in unfenced]


def taken_over(
    end: float | None = None, status: int | None = 200, *, withheld: bool = False, until: float = 15.0
) -> Run:
    """A begins a call at 1 on a lease from 0, which runs out; B claims it and begins it again, a second later."""
    run = Run()
    run.lease(A, 0, until)
    run.start(A, 1, end, status, withheld=withheld)
    run.lease(B, until, until + 4, "completed")
    run.start(B, until + 1, until + 3)
    run.reply(B, until + 4)
    return run


def retried(end: float | None = 3.0, status: int | None = 500, *, withheld: bool = True, server: int = OLD) -> Run:
    """A begins a call at 1 and again at 5; all the while it has the lease."""
    run = Run()
    run.lease(A, 0, 8, "completed")
    run.start(A, 1, end, status, withheld=withheld)
    run.start(A, 5, 7, server=server)
    run.reply(A, 8)
    return run


def ended(run: Run, at: float, how: Literal["killed", "exited", "stopped"] = "killed", **changes: Any) -> Run:
    """A's process ended."""
    run.lives.append(replace(Life("generator-1", A_PID, -50, at, how), **changes))
    return run


def away(run: Run, since: float, until: float) -> None:
    run.outages.append(Outage(since, until))

"""The starts of calls, from the model server's log and the ledger; all times in Unix seconds."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.core.ledger.ports import ClaimRow
from services.core.owner import Owner
from services.local.audit.report import LogLine

CLOCK_S = 0.01
"""Tolerance: store, server and controller read one clock at slightly different times, and round it."""

Leases = Mapping[str, Sequence[ClaimRow]]
"""By call, oldest first."""


@dataclass(frozen=True)
class Start:
    """A request that the server started, and its end."""

    call_id: str
    stage: str
    case_id: str
    owner: str
    server: int
    n: int
    at: float
    end: float
    """Infinite if no end was logged: it was in flight when the server's process or its log ended."""
    status: int | None
    """None: no reply was sent, because the client or the server was gone."""
    withheld: bool

    @property
    def pid(self) -> int:
        """The sender's process id. Raises ValueError if the owner is not a worker's name."""
        return Owner.parse(self.owner).pid

    @property
    def delivered(self) -> bool:
        """Whether a complete reply was sent."""
        return self.status is not None and not self.withheld


def starts_of(log: Iterable[LogLine]) -> list[Start]:
    """All starts with their ends, ordered by time."""
    lines = list(log)
    ends = {(line["server"], line["n"], line["start"]): line for line in lines if line["event"] == "end"}
    starts = [
        _start(line, ends.get((line["server"], line["n"], line["at"]), {}))
        for line in lines
        if line["event"] == "start"
    ]
    return sorted(starts, key=lambda start: (start.at, start.server, start.n))


def _start(line: LogLine, end: Mapping[str, Any]) -> Start:
    return Start(
        call_id=line["id"],
        stage=line["stage"],
        case_id=line["case"],
        owner=line["owner"],
        server=line["server"],
        n=line["n"],
        at=line["at"],
        end=end.get("end", math.inf),
        status=end.get("status"),
        withheld=end.get("withheld", False),
    )


def last_lines(log: Iterable[LogLine]) -> dict[int, float]:
    """The time of the last log line of each server process."""
    last: dict[int, float] = {}
    for line in log:
        if line["event"] in ("start", "end"):
            at = line["at"] if line["event"] == "start" else line["end"]
            last[line["server"]] = max(at, last.get(line["server"], at))
    return last


def leases_of(claims: Iterable[ClaimRow]) -> defaultdict[str, list[ClaimRow]]:
    """The leases by call, oldest first."""
    leases: defaultdict[str, list[ClaimRow]] = defaultdict(list)
    for claim in sorted(claims, key=lambda claim: claim.since):
        leases[claim.call_id].append(claim)
    return leases


def own_lease(start: Start, leases: Sequence[ClaimRow]) -> ClaimRow | None:
    """The sender's latest lease of the call at the time of the start."""
    own = [lease for lease in leases if lease.owner == start.owner and lease.since <= start.at + CLOCK_S]
    return own[-1] if own else None

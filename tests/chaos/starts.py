"""What the model server's log and the ledger say of each start of a call; all times in Unix seconds."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.core.ledger.ports import ClaimRow
from services.core.owner import Owner
from services.local.audit.report import LogLine

CLOCK_S = 0.01
"""Store, server and controller read one clock, but not in the same instant, and round it: by milliseconds."""

Leases = Mapping[str, Sequence[ClaimRow]]
"""By call, the oldest first."""


@dataclass(frozen=True)
class Start:
    """A request that the server began, and how it ended."""

    call_id: str
    stage: str
    case_id: str
    owner: str
    server: int
    n: int
    at: float
    end: float
    """Infinite where no end was logged: it was under way when the server's process, or its log, ended."""
    status: int | None
    """None: no reply was sent; its client, or the server, had gone."""
    withheld: bool

    @property
    def pid(self) -> int:
        """The sender's. Raises ValueError where the owner isn't a worker's name."""
        return Owner.parse(self.owner).pid

    @property
    def delivered(self) -> bool:
        """Whether a whole reply was sent."""
        return self.status is not None and not self.withheld


def starts_of(log: Iterable[LogLine]) -> list[Start]:
    """In the order of time, each with its end."""
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
    """When each process of the server was last heard of."""
    last: dict[int, float] = {}
    for line in log:
        if line["event"] in ("start", "end"):
            at = line["at"] if line["event"] == "start" else line["end"]
            last[line["server"]] = max(at, last.get(line["server"], at))
    return last


def leases_of(claims: Iterable[ClaimRow]) -> defaultdict[str, list[ClaimRow]]:
    """By call, the oldest first."""
    leases: defaultdict[str, list[ClaimRow]] = defaultdict(list)
    for claim in sorted(claims, key=lambda claim: claim.since):
        leases[claim.call_id].append(claim)
    return leases


def own_lease(start: Start, leases: Sequence[ClaimRow]) -> ClaimRow | None:
    """The sender's latest lease of the call by then."""
    own = [lease for lease in leases if lease.owner == start.owner and lease.since <= start.at + CLOCK_S]
    return own[-1] if own else None

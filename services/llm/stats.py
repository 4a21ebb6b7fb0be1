"""Counters of the dispatcher, exported as metrics."""

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Literal

from services.contracts.case import Usage
from services.core.ledger.calls import Outcome, Reply, Request
from services.llm import usage

Sent = Literal["replied", "away", "retry", "rejected", "cancelled"]
"""How one HTTP request ended."""


CALL_SECONDS = (0.5, 1, 2.5, 5, 10, 20, 40, 60, 90, 120, 180, 240, 360, 480, 600, 900, 1_800, 3_600)
"""Upper bounds of the histogram of call seconds: 8k tokens take minutes, a judge's verdict a second."""


@dataclass
class CallSeconds:
    """A histogram."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(CALL_SECONDS) + 1))
    """By upper bound, each without the ones below; the last: more."""
    sum: float = 0.0

    @property
    def most_s(self) -> float | None:
        """The upper bound of 99 of 100 requests; None before the first."""
        left = sum(self.buckets) * 0.99
        for bound, count in zip((*CALL_SECONDS, float("inf")), self.buckets, strict=True):
            left -= count
            if left <= 0 and count:
                return bound
        return None

    def add(self, seconds: float) -> None:
        """Count a request."""
        self.buckets[bisect_left(CALL_SECONDS, seconds)] += 1
        self.sum += seconds


@dataclass
class Stats:
    """Counts since the start of the process, by alias unless noted."""

    started: Counter[str] = field(default_factory=Counter)
    """HTTP requests sent."""
    sent: Counter[tuple[str, Sent]] = field(default_factory=Counter)
    """HTTP requests ended, by alias and result."""
    calls: Counter[tuple[str, Literal["reply", "failure"]]] = field(default_factory=Counter)
    """Calls that this process made and wrote to the ledger."""
    tokens: Counter[tuple[str, Literal["prompt", "completion", "cached"]]] = field(default_factory=Counter)
    """Tokens of those calls."""
    under_way: Counter[str] = field(default_factory=Counter)
    """HTTP requests now in flight."""
    begun: dict[object, tuple[str, str, float]] = field(default_factory=dict)
    """Of each of these: alias, stage, and when it began by the event loop's clock."""
    probes: Counter[str] = field(default_factory=Counter)
    """One-token probes sent."""
    without_usage: Counter[str] = field(default_factory=Counter)
    """Replies without usage, which are missing in spending."""
    seconds: defaultdict[tuple[str, str], CallSeconds] = field(default_factory=lambda: defaultdict(CallSeconds))
    """How long replied requests took, by alias and stage."""
    prompts_cut: Counter[str] = field(default_factory=Counter)
    """Replies whose usage counts far fewer tokens than the prompt has."""
    remembered: int = 0
    """Calls that were in the ledger when requested, or that another process finished in the meantime."""
    joined: int = 0
    """Calls requested while in flight in this process."""
    leases_lost: int = 0
    """Leases that expired or moved to another owner during a call."""
    replies_lost: int = 0
    """Outcomes that could not be written to the ledger before the drain deadline; their calls are paid again."""

    def oldest(self) -> dict[tuple[str, str], float]:
        """By alias and stage, when the oldest request in flight began."""
        found: dict[tuple[str, str], float] = {}
        for alias, stage, at in self.begun.values():
            found[alias, stage] = min(at, found.get((alias, stage), at))
        return found

    def usual_s(self, alias: str, stage: str) -> float | None:
        """Seconds within which 99 of 100 such requests were replied to; None before the first."""
        return self.seconds[alias, stage].most_s if (alias, stage) in self.seconds else None

    def ended(self, request: Request, outcome: Outcome) -> None:
        """A call of this process ended, with this outcome."""
        alias = request.alias
        self.calls[alias, "reply" if isinstance(outcome, Reply) else "failure"] += 1
        self._add(alias, outcome.usage)
        if isinstance(outcome, Reply):
            self.without_usage[alias] += usage.is_missing(outcome)
            self.prompts_cut[alias] += usage.is_prompt_cut(request, outcome)

    def _add(self, alias: str, usage: Usage) -> None:
        self.tokens[alias, "prompt"] += usage.prompt
        self.tokens[alias, "completion"] += usage.completion
        self.tokens[alias, "cached"] += usage.cached

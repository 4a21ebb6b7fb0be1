"""How many calls an alias bears, and whether it takes any: pure values, with time as an argument (seconds, any clock).

Both look at when a call was sent: what went out before the last trouble says nothing about what is true since. So a
flight of a hundred calls that all fail at once counts as one failure.
"""

from dataclasses import dataclass, replace

BACKOFF_FIRST_S = 0.5
BACKOFF_MOST_S = 5.0
"""What is away is tried again within 5 s (rule 10), unless it asked to be left alone for longer."""


@dataclass(frozen=True)
class Limit:
    """How many calls may be under way: grows by one a window of successes, is halved by trouble (AIMD).

    It starts at the maximum, the operator's own estimate: from below, with replies that take minutes, it would need
    hours to get there.
    """

    maximum: int
    current: int
    successes: int = 0
    cut_at: float = float("-inf")

    @classmethod
    def starting(cls, maximum: int) -> "Limit":
        """A fresh limit. Raises ValueError below one."""
        if maximum < 1:
            raise ValueError("max_calls must be at least 1")
        return cls(maximum, maximum)

    def worked(self, *, used_up: bool) -> "Limit":
        """A call came back. Only successes while all permits were out tell that more might be borne."""
        if not used_up or self.current == self.maximum:
            return self
        if self.successes + 1 < self.current:
            return replace(self, successes=self.successes + 1)
        return replace(self, current=self.current + 1, successes=0)

    def strained(self, now: float, *, sent_at: float, under_way: int) -> "Limit":
        """The server was asked too much (429, time-out): half of what was under way, once a flight of calls."""
        if sent_at <= self.cut_at:
            return self
        halved = max(1, min(self.current, under_way) // 2)
        return replace(self, current=halved, successes=0, cut_at=now)


@dataclass(frozen=True)
class Circuit:
    """Whether an alias is called at all. Open: no calls until a back-off ends; then, where the server was away, one
    probe at a time until one works; where it was only busy, as many as the limit says."""

    since: float | None = None
    """When the trouble began; None while all is well."""
    why: str = ""
    until: float = 0.0
    refused_at: float = 0.0
    failures: int = 0
    probing: bool = False

    def is_open(self, now: float) -> bool:
        """Whether calls are held back."""
        return self.since is not None and (self.probing or now < self.until)

    def refused(
        self, now: float, *, sent_at: float, why: str, retry_after: float | None, busy: bool, jitter: float
    ) -> "Circuit":
        """A call was refused. `jitter` in 0..1 spreads processes over the upper half of the back-off."""
        asked = now + (retry_after or 0.0)
        if self.since is not None and sent_at <= self.refused_at:
            return replace(self, until=max(self.until, asked), probing=self.probing or not busy)
        backoff = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2 ** min(self.failures, 10)) * (0.5 + jitter / 2)
        return Circuit(
            since=now if self.since is None else self.since,
            why=why,
            until=max(now + backoff, asked),
            refused_at=now,
            failures=self.failures + 1,
            probing=not busy,
        )

    def worked(self, *, sent_at: float) -> "Circuit":
        """The server took a call: closed, if the call went out since the last refusal."""
        return self if self.since is None or sent_at <= self.refused_at else Circuit()

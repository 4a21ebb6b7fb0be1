"""The waits of a worker: each one has a named state and a deadline."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

State = Literal["calling", "permit", "lease", "away", "publishing"]
"""calling: a model call is in flight. permit: waiting for a permit. lease: another owner makes the call. away: a
ledger, broker or model alias does not answer and is retried. publishing: the broker has not confirmed yet."""


@dataclass(frozen=True)
class Held:
    """One wait."""

    what: str
    state: State
    deadline: float
    """In seconds, on the clock of its Holds."""


class Holds:
    """The current waits. A wait past its deadline makes the worker unhealthy, and names the reason."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[int, Held] = {}
        self._next = 0

    @contextmanager
    def hold(self, what: str, state: State, for_s: float) -> Iterator[None]:
        """Register `what` in `state` while the block runs; it is overdue after `for_s` seconds."""
        key, self._next = self._next, self._next + 1
        self._held[key] = Held(what, state, self._clock() + for_s)
        try:
            yield
        finally:
            del self._held[key]

    def overdue(self) -> list[Held]:
        """The waits past their deadline: empty in a healthy worker."""
        now = self._clock()
        return [held for held in self._held.values() if held.deadline < now]

    def counts(self) -> Counter[State]:
        """The number of waits by state."""
        return Counter(held.state for held in self._held.values())

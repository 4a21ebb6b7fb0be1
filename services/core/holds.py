"""What a worker holds, and why: each held thing is in a named state with a deadline of its own."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

State = Literal["calling", "permit", "lease", "away", "publishing"]
"""calling: a model call is on its way. permit: waiting for one. lease: another owner makes the call. away: a ledger,
broker or model alias doesn't answer and is tried again. publishing: the broker has not confirmed yet."""


@dataclass(frozen=True)
class Held:
    """One thing that waits."""

    what: str
    state: State
    deadline: float
    """On the clock of its Holds, in seconds."""


class Holds:
    """The register of what is held now. What is past its deadline makes the worker red, with why."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[int, Held] = {}
        self._next = 0

    @contextmanager
    def hold(self, what: str, state: State, for_s: float) -> Iterator[None]:
        """While the block runs, `what` is in `state`, and due out of it within `for_s` seconds."""
        key, self._next = self._next, self._next + 1
        self._held[key] = Held(what, state, self._clock() + for_s)
        try:
            yield
        finally:
            del self._held[key]

    def overdue(self) -> list[Held]:
        """What should have moved on by now: empty in a healthy worker."""
        now = self._clock()
        return [held for held in self._held.values() if held.deadline < now]

    def counts(self) -> Counter[State]:
        """How many things are in each state."""
        return Counter(held.state for held in self._held.values())

"""Detects that nothing moves although it should (rule 10)."""

from typing import Any


class Stalled(Exception):
    """The client is stalled, as aiokafka's sometimes is after brokers restart (#847, #1037): the process must end with
    an error, and be started again."""


class StallDetector:
    """Whether a bad state has lasted for `limit_s` seconds without any movement."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: float | None = None
        self._moved: object = None

    def lasts(self, now: float, *, bad: bool, moved: object = None) -> bool:
        """Note the state at `now` (seconds on any clock). `moved` is anything that changes when something moves."""
        if not bad or self._since is None or moved != self._moved:
            self._since = now if bad else None
        self._moved = moved
        return self._since is not None and now - self._since >= self._limit_s


def over(consumer: Any) -> str | None:
    """Which of an aiokafka consumer's two background tasks has ended; None while both run. aiokafka never restarts
    them: without the fetcher nothing is fetched, without the coordinator it is no member of its group any more."""
    tasks = {"fetcher": consumer._fetcher._fetch_task, "coordinator": consumer._coordinator._coordination_task}
    ended = [name for name, task in tasks.items() if task.done()]
    return f"aiokafka's {ended[0]} has ended by itself" if ended else None

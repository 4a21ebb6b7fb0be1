"""Noticing that nothing moves although it should (rule 10)."""

from typing import Any


class Stalled(Exception):
    """The client stands still, as aiokafka's does now and then after brokers restart (#847, #1037): the process is to
    end with an error, and be started again."""


class StallDetector:
    """Whether a bad state has lasted for `limit_s` seconds without any movement."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: float | None = None
        self._moved: object = None

    def lasts(self, now: float, *, bad: bool, moved: object = None) -> bool:
        """Note what is seen at `now` (seconds on any clock). `moved` is anything that changes when something moves."""
        if not bad or self._since is None or moved != self._moved:
            self._since = now if bad else None
        self._moved = moved
        return self._since is not None and now - self._since >= self._limit_s


def over(consumer: Any) -> str | None:
    """Which of an aiokafka consumer's two background tasks has ended; None while both run. It never starts them again:
    without one nothing is fetched, without the other it is no member of its group, and may not know it."""
    tasks = {"fetcher": consumer._fetcher._fetch_task, "coordinator": consumer._coordinator._coordination_task}
    ended = [name for name, task in tasks.items() if task.done()]
    return f"aiokafka's {ended[0]} has ended by itself" if ended else None

"""Detects that nothing moves although it should (rule 10)."""


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

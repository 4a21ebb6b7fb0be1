"""Limits of concurrency."""

from services.gateway.http.refusals import Refused


class Slots:
    """A non-blocking limiter: refuses with 503 when full."""

    def __init__(self, count: int, what: str) -> None:
        self._free = count
        self._what = what

    def __enter__(self) -> None:
        """Raises Refused (503)."""
        if self._free == 0:
            raise Refused(503, "busy", f"Too many {self._what} at once: try again.", headers={"Retry-After": "1"})
        self._free -= 1

    def __exit__(self, *_: object) -> None:
        self._free += 1

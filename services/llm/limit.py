"""The concurrency limit of a server: pure values, with time as an argument (seconds, any clock).

The rule is that of BIC (binary increase congestion control, INFOCOM 2004), counted in flights: a flight is as many
finished calls as the limit allows, so about one call's duration while the limit is used up.

- A refused call (429, 503) lowers the limit to what is in flight beside it: exactly what the server has accepted.
- A flight in which more than SPOILT_SHARE of the calls were refused or timed out is spoilt: the limit falls by the
  share that timed out. A smaller share is not a sign of load.
- After a clean flight below the last good level, the limit goes half the way back to it: 90% after four flights.
  From there it probes: 1, 2, 4, ... more, until a flight is spoilt.
- The last good level is the largest that a clean flight has shown since the last spoilt one. A spoilt flight that
  follows another spoilt one belongs to the same overload, and does not change it.
"""

from dataclasses import dataclass, replace

SPOILT_SHARE = 0.05
"""One time-out in a thousand is that call's; one in twenty is a sign of load."""

FLOOR_SHARE = 16
"""The lowest share of the last good level to which the limit falls in one overload: a flight of that size is a sample
that a single call cannot make clean."""


@dataclass(frozen=True)
class Limit:
    """How many calls may be in flight. It starts at the maximum, the operator's own estimate."""

    maximum: int
    current: int
    good: int
    """The last good level: where the limit returns to."""
    shown: int = 0
    """The largest level with a clean flight since the last spoilt one; 0 if there is none."""
    step: int = 1
    """The next step of probing beyond the last good level."""
    size: int = 1
    """Calls that make up this flight."""
    ended: int = 0
    full: int = 0
    """Calls among these that ended while the limit was used up: only they show that a higher limit may work."""
    refused: int = 0
    timed_out: int = 0
    cut_at: float = float("-inf")
    """When the last flight was found spoilt; time-outs of calls sent before belong to it."""

    @classmethod
    def starting(cls, maximum: int) -> "Limit":
        """A fresh limit. Raises ValueError below one."""
        if maximum < 1:
            raise ValueError("max_calls must be at least 1")
        return cls(maximum, maximum, maximum, size=maximum)

    @property
    def floor(self) -> int:
        """The least that the limit falls to before the last good level is given up."""
        return max(1, self.good // FLOOR_SHARE)

    def worked(self, now: float, *, in_flight: int) -> "Limit":
        """A call came back; `in_flight` counts it."""
        ended, full = self.ended + 1, self.full + (in_flight >= self.current)
        if ended < self.size:
            return replace(self, ended=ended, full=full)
        return self._land(now, ended, full)

    def refuse(self, now: float, *, in_flight: int) -> "Limit":
        """The server had no room for a call; `in_flight` counts it."""
        lowered = max(self.floor, min(self.current, in_flight - 1))
        return replace(self, current=lowered, refused=self.refused + 1)._failed(now)

    def time_out(self, now: float, *, sent_at: float) -> "Limit":
        """A call had no reply in time."""
        if sent_at <= self.cut_at:
            return self
        return replace(self, timed_out=self.timed_out + 1)._failed(now)

    def returned(self) -> "Limit":
        """The server is back: the limit returns to the last good level, as an outage is no sign of load."""
        return self._flight(replace(self, current=max(self.current, self.good)))

    def _failed(self, now: float) -> "Limit":
        if self.ended + 1 < self.size:
            return replace(self, ended=self.ended + 1)
        return self._land(now, self.ended + 1, self.full)

    def _land(self, now: float, ended: int, full: int) -> "Limit":
        """The flight is over."""
        if self.refused + self.timed_out > SPOILT_SHARE * ended:
            return self._flight(self._spoilt(now, ended))
        return self._flight(self._clean(is_full=2 * full >= ended))

    def _clean(self, *, is_full: bool) -> "Limit":
        if not is_full:
            return self
        if self.current < self.good:
            halfway = max(self.current + 1, (self.current + self.good + 1) // 2)
            return replace(self, shown=max(self.shown, self.current), current=halfway)
        more = min(self.maximum, self.current + self.step)
        return replace(self, shown=self.current, good=self.current, current=more, step=min(self.maximum, 2 * self.step))

    def _spoilt(self, now: float, ended: int) -> "Limit":
        good = self.shown or self.good
        floor = max(1, good // FLOOR_SHARE)
        if self.timed_out and self.current <= floor:
            good = max(1, good // 2)
        lowered = max(1, good // FLOOR_SHARE, round(self.current * (1 - self.timed_out / ended)))
        return replace(self, current=min(self.current, lowered), good=good, shown=0, step=1, cut_at=now)

    @staticmethod
    def _flight(limit: "Limit") -> "Limit":
        """The next flight begins."""
        return replace(limit, size=limit.current, ended=0, full=0, refused=0, timed_out=0)

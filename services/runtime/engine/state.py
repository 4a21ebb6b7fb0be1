"""The current state of an engine, as a snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.core.messages import TopicPartition


@dataclass(frozen=True, kw_only=True)
class EngineState:
    """The state of one engine. Its counters are in counters.py."""

    in_flight: int = 0
    begun_written_ms: int = 0
    """When the record that was begun last had been written, in Unix time; 0 before the first."""
    windows: Mapping[TopicPartition, int] = field(default_factory=dict)
    """Offsets that were read and can't be committed yet."""
    lag: Mapping[TopicPartition, int] = field(default_factory=dict)
    """Offsets between our position and the end, at the watchdog's latest check."""
    circuit_open: bool = False
    draining: bool = False

"""What is so now: a snapshot of an engine, taken when it is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.runtime.engine.source import TopicPartition


@dataclass(frozen=True, kw_only=True)
class EngineState:
    """One engine at one moment. What has happened since the start is in counters.py."""

    in_flight: int = 0
    begun_written_ms: int = 0
    """When the record that was begun last had been written, in Unix time; 0 before the first."""
    windows: Mapping[TopicPartition, int] = field(default_factory=dict)
    """Offsets that were read and can't be committed yet."""
    lag: Mapping[TopicPartition, int] = field(default_factory=dict)
    """Offsets between our position and the end, at the watchdog's latest look."""
    circuit_open: bool = False
    draining: bool = False

"""aiokafka's records as ours."""

from typing import Any

from services.core.messages import ConsumedRecord
from services.runtime.kafka import patches  # noqa: F401 -- for what it does to every consumer of the process


def consumed(record: Any) -> ConsumedRecord:
    """A record as its handler sees it."""
    return ConsumedRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers={name: value or b"" for name, value in record.headers},
        timestamp_ms=record.timestamp,
    )

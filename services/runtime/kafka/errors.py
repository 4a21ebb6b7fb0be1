"""Translates errors of Kafka's clients to `BrokerAway`, the only one that other packages know."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaError

from services.core.errors import BrokerAway

ERRORS = (KafkaError, OSError, TimeoutError)
"""What aiokafka raises where a broker is away, refuses or is slow."""


@contextmanager
def broker_away(where: str = "Kafka") -> Iterator[None]:
    """Raise BrokerAway in place of what Kafka's clients raise, a time-out of ours included. `where` names the address
    for a person who has to act on it."""
    try:
        yield
    except ERRORS as error:
        raise BrokerAway(f"{where}: {type(error).__name__}: {error}") from error

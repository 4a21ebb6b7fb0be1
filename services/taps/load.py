"""Topics of a cluster into DuckDB."""

from contextlib import aclosing

import duckdb

from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reader import read_topic
from services.taps.database import Tables
from services.taps.tables import TOPICS


async def load(db: duckdb.DuckDBPyConnection, kafka: KafkaClient) -> None:
    """Create the tables from the current content of the topics. Joins no consumer group. Raises BrokerAway."""
    tables = Tables(db)
    async with aclosing(read_topic(kafka, *TOPICS)) as messages:
        async for message in messages:
            tables.take(message)
    tables.finish()

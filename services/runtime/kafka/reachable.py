"""Whether Kafka can be reached by a new connection."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from services.runtime.kafka.client import KafkaClient


async def reachable(client: KafkaClient, *, within_s: float = 5.0) -> bool:
    """Whether a broker answers a new client within so many seconds. Raises nothing of Kafka's."""
    admin = AIOKafkaAdminClient(**client.arguments(), request_timeout_ms=int(within_s * 1000))
    try:
        async with asyncio.timeout(within_s):
            await admin.start()
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await admin.close()
    return True

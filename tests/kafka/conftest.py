"""One cluster for the modules that need no other: started once, and shared by tests that each bring their own data."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.local.servers.kafka import KafkaCluster


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaCluster]:
    """Tests that use it run on the session's loop: `pytest.mark.asyncio(loop_scope="session")`."""
    quick = {"group.min.session.timeout.ms": "500"}
    async with KafkaCluster(tmp_path_factory.mktemp("kafka"), properties=quick) as cluster:
        yield cluster

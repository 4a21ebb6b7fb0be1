"""One broker for each file that asks for it: a file reads nothing that another one has written."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.local.servers.kafka import KafkaCluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaCluster]:
    """Tests that use it run on the module's loop: `pytest.mark.asyncio(loop_scope="module")`."""
    quick = {"group.min.session.timeout.ms": "500"}
    async with KafkaCluster(tmp_path_factory.mktemp("kafka"), properties=quick) as cluster:
        yield cluster

"""Faust's consumer, without two of its holes (faust-streaming 0.15.3, found on Apache Kafka 4.4; delivery.md)."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver

REVOKE_S = 3.0
"""The last commit of a revocation, in seconds: the whole group waits for it (rule 5)."""


class Consumer(driver.Consumer):
    """What is fetched while a rebalance ends is dropped by Faust, which then seeks to the commits. A partition without
    one it leaves where it is, past what was dropped: here it begins anew. And what was acknowledged since the last
    commit is committed before it is forgotten."""

    async def seek_to_committed(self) -> Mapping[Any, int]:
        """As Faust's; a partition that nothing was ever committed of is read from its beginning."""
        committed: Mapping[Any, int] = await super().seek_to_committed()
        if never := [partition for partition, offset in committed.items() if not offset]:
            await self._thread.seek_to_beginning(*never)
        return committed

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """As Faust's, after a commit."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REVOKE_S):
                await self.commit()
        await super().on_partitions_revoked(revoked)

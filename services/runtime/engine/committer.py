"""`Committer`: commits the windows' due offsets a few times per second, and once more at a revocation.

The commit rule itself, which offsets are due, is `Window.due` (commit_rule.py; rule 1).
"""

import asyncio
from collections.abc import Mapping

import structlog

from services.core.errors import BrokerAway
from services.core.messages import TopicPartition
from services.runtime.engine.commit_rule import Window
from services.runtime.engine.counters import Counters
from services.runtime.engine.limits import Limits
from services.runtime.engine.source import Source

log = structlog.get_logger(__name__)


class Committer:
    """Commits the windows of assigned partitions: one commit at a time, never for another member's partition."""

    def __init__(
        self, *, source: Source, windows: Mapping[TopicPartition, Window], limits: Limits, counters: Counters
    ) -> None:
        """`windows` is the engine's own mapping, not a copy: a partition that is removed from it is no longer
        committed."""
        self._source = source
        self._windows = windows
        self._limits = limits
        self._counters = counters
        self._sending: asyncio.Task[None] | None = None
        self._one = asyncio.Lock()
        self.trouble: str | None = None
        """Why the latest due commit failed; None if it did not."""

    async def run(self) -> None:
        """Commit changes every `commit_s` seconds until cancelled. Raises unexpected exceptions of a commit: a process
        that cannot commit must end."""
        while True:
            await asyncio.sleep(self._limits.commit_s)
            sending = self._sending = asyncio.create_task(self._send())
            await asyncio.wait({sending})
            if not sending.cancelled():
                sending.result()

    async def last(self) -> None:
        """Cancel a commit in flight, and send one last commit within `revoke_s` seconds (rule 5). Does not raise if the
        broker is away; uncommitted records are then repeated."""
        if self._sending is not None and not self._sending.done():
            self._sending.cancel()
            await asyncio.wait({self._sending})
        try:
            async with asyncio.timeout(self._limits.revoke_s):
                await self._send()
        except TimeoutError:
            self._failed("no answer in time")

    async def _send(self) -> None:
        async with self._one:  # What is due is computed under the lock, so nothing is sent twice.
            await self._send_due()

    async def _send_due(self) -> None:
        due = [(key, window, commit) for key, window in self._windows.items() if (commit := window.due())]
        if not due:
            self.trouble = None
            return
        try:
            accepted = await self._source.commit({key: commit for key, _, commit in due})
        except BrokerAway as away:
            self._failed(str(away))
            return
        if not accepted:
            self._failed("the generation has ended")
            return
        self._counters.commits += 1
        self.trouble = None
        for _, window, commit in due:
            window.sent(commit)

    def _failed(self, why: str) -> None:
        self._counters.commits_failed += 1
        if (why := f"commit failed: {why}") != self.trouble:  # log once per outage, not twice a second
            log.warning("commit failed", why=why)
        self.trouble = why

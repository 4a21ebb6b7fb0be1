"""Waits until all workers are ready; an error names the worker that is not, and the reason."""

import asyncio
from collections.abc import Mapping

import httpx

from services.local.processes.ports import LOOPBACK
from services.local.processes.process import ProcessError, together
from services.local.processes.supervisor import Supervisor

READY_WITHIN = 120.0
"""Seconds until all workers must be ready: a dozen Python processes take 15 to 30 to start on two shared cores."""
EXITS = 2
"""Exits during the start after which a worker counts as failed."""
_ASK_EVERY = 0.25


async def until_ready(workers: Supervisor, ports: Mapping[str, int], within_s: float = READY_WITHIN) -> None:
    """Return when each named worker answers /readyz on its port with 200. Raises ProcessError with the name of a worker
    that does not, its last answer, and the end of its log."""
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
        await together(*(_ready(client, workers, name, port, within_s) for name, port in ports.items()))


async def _ready(client: httpx.AsyncClient, workers: Supervisor, name: str, port: int, within_s: float) -> None:
    why: str | None = "no answer yet"
    try:
        async with asyncio.timeout(within_s):
            while why := await _why_not(client, port):
                if workers.histories()[name].restarts >= EXITS:
                    raise _failed(workers, name, "exits repeatedly")
                await asyncio.sleep(_ASK_EVERY)
    except TimeoutError:
        raise _failed(workers, name, f"is not ready within {within_s:g} s ({why})") from None


async def _why_not(client: httpx.AsyncClient, port: int) -> str | None:
    """Why the worker is not ready; None: it is."""
    try:
        answer = await client.get(f"http://{LOOPBACK}:{port}/readyz")
    except httpx.TransportError as error:
        return f"no answer on port {port}: {type(error).__name__}"
    return None if answer.is_success else answer.text.strip() or f"status {answer.status_code}"


def _failed(workers: Supervisor, name: str, how: str) -> ProcessError:
    process = workers.process(name)
    return ProcessError(f"{name} {how}; the end of {process.log}:\n{process.log_tail()}")

"""One process of tests/laws/test_ledger_processes.py: makes the calls that it leases, and prints each start.

Run as `ledger_worker.py URL OWNER CALLS LEASE_S SECONDS_A_CALL`; prints a line `begin CALL_ID UNIX_TIME` for each call.
"""

import asyncio
import random
import sys
import time

from services.contracts.base import CallId
from services.contracts.case import Usage
from services.core.ledger.calls import Reply
from services.core.ledger.ports import Done, Mine
from services.ledger import Ledger, open_ledger

BATCH = 5


async def main(url: str, owner: str, calls: int, lease_s: float, work_s: float) -> None:
    left = [CallId(f"call-{number}") for number in range(calls)]
    async with open_ledger(url) as ledger:
        while left:
            random.shuffle(left)
            done = [await take(ledger, call_ids, owner, lease_s, work_s) for call_ids in batches(left)]
            left = [call_id for call_id in left if call_id not in set().union(*done)]
            if not any(done):
                await asyncio.sleep(0.05)


def batches(call_ids: list[CallId]) -> list[list[CallId]]:
    return [call_ids[start : start + BATCH] for start in range(0, len(call_ids), BATCH)]


async def take(ledger: Ledger, call_ids: list[CallId], owner: str, lease_s: float, work_s: float) -> set[CallId]:
    """Claim calls and make the leased ones; returns the ids of finished calls."""
    asked = time.monotonic()
    claims = await ledger.calls.claim(call_ids, owner=owner, lease_s=lease_s)
    done = {call_id for call_id, claim in zip(call_ids, claims, strict=True) if isinstance(claim, Done)}
    for call_id, claim in zip(call_ids, claims, strict=True):
        if isinstance(claim, Mine) and time.monotonic() < asked + claim.lease_s / 2:
            print("begin", call_id, time.time(), flush=True)
            await asyncio.sleep(work_s)
            await ledger.calls.complete({call_id: Reply(f"by {owner}", "stop", Usage(prompt=1))}, owner=owner)
            done.add(call_id)
    return done


if __name__ == "__main__":
    url, owner, calls, lease_s, work_s = sys.argv[1:]
    asyncio.run(main(url, owner, int(calls), float(lease_s), float(work_s)))

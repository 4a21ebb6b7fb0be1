"""A model's permits by lane, in virtual time: live calls go first, and neither lane starves."""

import asyncio
from collections import Counter

from services.contracts.topics import Lane
from services.core.ledger.calls import Request
from tests.unit.llm.test_load import Load, Simulated
from tests.unit.llm.world import settled, started


class InLanes(Load):
    """Callers in both lanes; notes what was served, in order."""

    def __init__(self, request_of, *, slots: int = 4) -> None:
        super().__init__({None: Simulated(slots, call_s=10.0)}, request_of, max_calls=slots)
        self.served: list[Lane] = []

    async def in_lane(self, request: Request, lane: Lane) -> float:
        """Make a call; how long it took."""
        begun = asyncio.get_running_loop().time()
        permit = await self.gate.queue(request, lane=lane)
        self.served.append(lane)
        await self.servers[None].send(request)
        self.gate.worked(permit, request)
        return asyncio.get_running_loop().time() - begun

    def always(self, lane: Lane, callers: int) -> None:
        """So many calls of the lane always wait."""

        async def caller() -> None:
            while True:
                await self.in_lane(self._request_of(next(self._numbers)), lane)

        self._tasks += [asyncio.create_task(caller()) for _ in range(callers)]


def test_a_live_call_waits_for_one_free_place_not_for_the_backfill(virtually, request_of):
    async def main() -> None:
        load = InLanes(request_of)
        load.always("backfill", 500)
        await asyncio.sleep(95)
        took = [await load.in_lane(request_of(10**6 + number), "live") for number in range(20)]
        assert max(took) < 21, "a call in flight, and its own"
        await load.stop()

    virtually(main())


def test_backfill_has_what_live_calls_leave(virtually, request_of):
    async def main() -> None:
        load = InLanes(request_of)
        load.always("backfill", 100)
        load.always("live", 2)
        await asyncio.sleep(1_000)
        served = Counter(load.served)
        assert served.total() == 4 * 100, "no place is ever idle"
        assert served["backfill"] > 100
        assert served["live"] > 100
        await load.stop()

    virtually(main())


def test_neither_lane_starves_however_much_the_other_wants(virtually, request_of):
    async def main() -> None:
        load = InLanes(request_of)
        load.always("live", 100)
        load.always("backfill", 100)
        await asyncio.sleep(2_000)
        for start in range(0, len(load.served) - 10, 10):
            assert Counter(load.served[start : start + 10]) == {"live": 9, "backfill": 1}
        await load.stop()

    virtually(main())


def test_a_call_that_was_given_up_blocks_no_lane(virtually, request_of):
    async def main() -> None:
        load = InLanes(request_of, slots=1)
        held = load.gate.queue(request_of(0)).result()
        backfill = [load.gate.queue(request_of(number), lane="backfill") for number in (1, 2)]
        live = [load.gate.queue(request_of(number)) for number in (3, 4)]
        backfill[0].cancel()
        load.gate.withdraw(live[0])
        for ticket in (backfill[1], live[1]):
            load.gate.drop(held)
            held = await ticket
        load.gate.drop(held)
        assert load.gate.in_flight == 0
        await load.stop()

    virtually(main())


def test_the_dispatcher_asks_in_the_lane_of_its_caller(living, client, request_of):
    async def story(world) -> None:
        async with world.dispatcher() as models:
            busy = [await started(models, request_of(number)) for number in range(2)]
            first = [await started(models.of("backfill"), request_of(number)) for number in range(10, 13)]
            later = [await started(models.of("live"), request_of(number)) for number in range(20, 23)]
            for _ in range(8):
                client.reply()
                await settled()
            await asyncio.gather(*busy, *first, *later)
        sent = [request.seed for request in client.sent]
        assert sent[:2] == [0, 1]
        assert sent[2:6] == [10, 20, 21, 22], "backfill has the first turn, then live goes first"

    living(story)

"""The laws of the port Circuits, for all three ledgers."""

import asyncio


async def test_a_circuit_stays_open_until_it_is_closed(store) -> None:
    """By service, with the latest reason, across restarts."""
    async with store.ledger() as ledger:
        assert await ledger.circuits.why("verifier") is None
        await ledger.circuits.set("verifier", "12 dead letters in a minute")
        await ledger.circuits.set("verifier", "20 dead letters: Ω")
    async with store.ledger() as ledger:
        assert await ledger.circuits.why("verifier") == "20 dead letters: Ω"
        assert await ledger.circuits.why("refiner") is None
        for _ in range(2):
            await ledger.circuits.set("verifier", None)
        assert await ledger.circuits.why("verifier") is None


async def test_probes_are_given_out_to_one_caller_at_a_time(store) -> None:
    """By service; a turn that is over is another's, and no turn is given while a probe's pause lasts."""
    async with store.ledger() as one, store.ledger() as other:
        assert await one.circuits.probe("verifier", 600)
        for ledger in (other, one):
            assert not await ledger.circuits.probe("verifier", 600)
        assert await other.circuits.probe("refiner", 0.001)
        async with asyncio.timeout(10):
            while not await one.circuits.probe("refiner", 600):
                pass
        await one.circuits.probed("verifier", 0.001)
        async with asyncio.timeout(10):
            while not await other.circuits.probe("verifier", 0.001):
                pass
        await other.circuits.probed("verifier", 600)
        assert not await one.circuits.probe("verifier", 600)

"""The laws of the port Circuits, for all three ledgers."""


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

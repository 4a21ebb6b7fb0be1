"""The laws of the port ModelReports, for all three ledgers."""

from services.core.ledger.reports import ModelReport
from services.ledger import Ledger
from tests.laws.conftest import FakeClock

AWAY = ModelReport("judge", "away", "401: the key is refused")
SLOW = ModelReport("judge", "slow", "no reply after 30 s")
OTHER = ModelReport("writer", "slow", "no reply after 90 s")


async def test_a_worker_replaces_its_own_reports_and_leaves_others(ledger: Ledger) -> None:
    assert await ledger.reports.reported() == {}
    await ledger.reports.report("one", [AWAY, OTHER], for_s=10)
    await ledger.reports.report("two", [SLOW], for_s=10)
    assert await ledger.reports.reported() == {"judge": AWAY, "writer": OTHER}
    await ledger.reports.report("one", [], for_s=10)
    assert await ledger.reports.reported() == {"judge": SLOW}
    await ledger.reports.report("two", [OTHER], for_s=10)
    assert await ledger.reports.reported() == {"writer": OTHER}


async def test_a_model_that_is_away_for_one_and_slow_for_another_is_away(ledger: Ledger) -> None:
    for owner, report in (("one", SLOW), ("two", AWAY), ("three", SLOW)):
        await ledger.reports.report(owner, [report], for_s=10)
    assert await ledger.reports.reported() == {"judge": AWAY}


async def test_what_a_worker_that_died_had_reported_ends(ledger: Ledger, clock: FakeClock) -> None:
    await ledger.reports.report("one", [AWAY], for_s=10)
    clock.pass_(9)
    assert await ledger.reports.reported() == {"judge": AWAY}
    await ledger.reports.report("two", [OTHER], for_s=10)
    clock.pass_(1)
    for _ in range(2):
        assert await ledger.reports.reported() == {"writer": OTHER}

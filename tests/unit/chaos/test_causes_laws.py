"""Laws of any evidence; calls without a lease or a reply's row."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.causes import Cause, Life, Outage, Pause, by_cause, unkept, unleased
from tests.unit.chaos.evidence import A_PID, B_PID, CALL, A, B, Run, retried, taken_over

times = st.integers(0, 240).map(lambda quarters: quarters / 4)
owners = st.sampled_from([A, B])


@st.composite
def runs(draw: st.DrawFn, *, withheld: bool = True, faults: bool = True) -> Run:
    """Starts and leases of two processes and two calls, in any order; faults of the two, if any."""
    run = Run()
    for _ in range(draw(st.integers(0, 6))):
        at, took = draw(times), draw(st.none() | times)
        run.start(
            draw(owners),
            at,
            None if took is None else at + took,
            draw(st.sampled_from([200, 500, None])),
            withheld=withheld and draw(st.booleans()),
            call_id=draw(st.sampled_from([CALL, "call-2"])),
        )
    for _ in range(draw(st.integers(0, 3))):
        since = draw(times)
        run.lease(draw(owners), since, since + draw(times), draw(st.sampled_from(["completed", "released", "open"])))
    if draw(st.booleans()):
        run.reply(A, draw(times))
    if faults:
        pid = st.sampled_from([A_PID, B_PID])
        how = st.sampled_from(["killed", "exited", "stopped"])
        lives = st.builds(Life, st.just("generator-1"), pid, st.just(0.0), times, how, st.none() | times)
        run.lives = draw(st.lists(lives, max_size=2))
        run.pauses = draw(st.lists(st.builds(Pause, pid, times, times), max_size=2))
        run.outages = draw(st.lists(st.builds(Outage, times, times), max_size=2))
    return run


@given(runs())
def test_each_start_beyond_the_first_is_a_repeat(run: Run) -> None:
    starts = [line for line in run.log if line["event"] == "start"]
    repeats = run.explain()
    assert len(repeats) == len(starts) - len({line["id"] for line in starts})
    assert [repeat.at for repeat in repeats] == sorted(repeat.at for repeat in repeats)
    counted = by_cause(repeats)
    assert set(counted) == {cause.value for cause in Cause}
    assert sum(counted.values()) == len(repeats)


@given(runs(withheld=False, faults=False))
def test_without_a_fault_no_repeat_is_explained(run: Run) -> None:
    assert {repeat.cause for repeat in run.explain()} <= {Cause.UNEXPLAINED}


@given(runs(), st.integers(-1000, 2_000_000_000))
def test_another_time_changes_nothing(run: Run, by: int) -> None:
    moved = Run(
        [{**line, **{key: line[key] + by for key in ("at", "start", "end") if key in line}} for line in run.log],
        [replace(row, since=row.since + by, until=row.until + by) for row in run.claims],
        [replace(row, at=row.at + by) for row in run.calls],
        [
            replace(
                life,
                began=life.began + by,
                ended=None if life.ended is None else life.ended + by,
                cut=None if life.cut is None else life.cut + by,
            )
            for life in run.lives
        ],
        [replace(pause, since=pause.since + by, until=pause.until + by) for pause in run.pauses],
        [replace(outage, since=outage.since + by, until=outage.until + by) for outage in run.outages],
    )
    assert [replace(repeat, at=repeat.at + by) for repeat in run.explain()] == moved.explain()
    assert run.against() == moved.against()


@given(runs(), st.randoms())
def test_the_order_of_the_evidence_changes_nothing_that_has_a_time(run: Run, chance: Any) -> None:
    causes = run.explain()
    chance.shuffle(run.pauses)
    chance.shuffle(run.outages)
    assert run.explain() == causes


@given(runs(), times, times)
def test_faults_of_processes_that_sent_nothing_change_nothing(run: Run, at: float, until: float) -> None:
    causes = run.explain()
    run.lives.append(Life("generator-3", 303, 0, at, "killed"))
    run.pauses.append(Pause(303, at, until))
    assert run.explain() == causes


@given(runs())
def test_every_start_against_the_ledger_is_a_defect_or_unfenced(run: Run) -> None:
    defects, unfenced = run.against()
    without_pauses = replace(run, pauses=[])
    assert sorted(defects + unfenced) == sorted(without_pauses.against()[0])


def test_windows_of_faults_are_passed_over() -> None:
    run = retried()
    run.log.insert(0, {"event": "window", "kind": "500", "at": 0.0, "until": 4.0})
    assert run.cause() is Cause.WITHHELD


def test_a_start_on_a_lease_of_its_own_is_leased() -> None:
    run = taken_over(end=3.0, until=15.0)
    assert unleased(run.log, run.claims, run.pauses) == []


@pytest.mark.parametrize("claim", [None, (B, 0.0, 9.0), (A, 0.0, 0.5), (A, 2.0, 9.0)])
def test_a_start_without_a_lease_of_its_own_that_lives_is_unleased(claim: tuple[str, float, float] | None) -> None:
    run = Run()
    run.start(A, 1, 3)
    if claim is not None:
        run.lease(*claim)
    assert [start.owner for start in unleased(run.log, run.claims, run.pauses)] == [A]


def test_a_pause_between_check_and_sending_excuses_it() -> None:
    run = Run(pauses=[Pause(A_PID, 0.5, 20.0)])
    run.lease(A, 0, 15)
    run.start(A, 20.1, 21)
    assert unleased(run.log, run.claims, run.pauses) == []


def test_a_reply_that_was_sent_and_not_stored_is_unkept() -> None:
    run = Run()
    run.start(A, 1, 3)
    assert [start.call_id for start in unkept(run.log, run.calls)] == [CALL]


def test_a_reply_is_kept_by_its_row_and_one_that_was_withheld_was_none() -> None:
    kept = taken_over(end=3.0)
    assert unkept(kept.log, kept.calls) == []
    withheld = Run()
    withheld.start(A, 1, 3, 500, withheld=True)
    withheld.start(B, 4, None)
    assert unkept(withheld.log, withheld.calls) == []


def test_a_reply_that_lay_for_seconds_with_nothing_in_its_way_was_not_lost_to_a_kill() -> None:
    def killed(ended: float) -> Cause:
        run = taken_over(end=3.0)
        run.lives.append(Life("generator-1", A_PID, -10.0, ended, "killed"))
        return run.cause()

    assert killed(4.0) is Cause.KILLED
    assert killed(12.0) is Cause.UNEXPLAINED


def test_one_process_s_outage_excuses_no_other() -> None:
    def away(pid: int | None) -> Cause:
        run = taken_over(end=3.0)
        run.outages.append(Outage(2.0, 15.5, pid))
        return run.cause()

    assert away(None) is Cause.LEDGER_AWAY
    assert away(A_PID) is Cause.LEDGER_AWAY
    assert away(B_PID) is Cause.UNEXPLAINED

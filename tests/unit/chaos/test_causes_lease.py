"""The cause of a repeat: the loss of a lease; and starts against the ledger."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from services.core.ledger.ports import ClaimRow
from tests.chaos.causes import Cause, Outage, Pause
from tests.unit.chaos.evidence import A_PID, B_PID, CALL, A, B, Run, away, ended, retried, taken_over

Lost = tuple[Callable[[Run, float, float], None], Cause]


def paused(run: Run, since: float, until: float) -> None:
    run.pauses.append(Pause(A_PID, since, until))


TROUBLES = pytest.mark.parametrize("lost", [(paused, Cause.PAUSED), (away, Cause.LEDGER_AWAY)], ids=["pause", "outage"])


@TROUBLES
@pytest.mark.parametrize(
    ("since", "until"),
    [
        (2.0, 40.0),  # the repeat came in it
        (2.0, 15.5),
        (5.0, 14.0),  # the last renewal was due as it began, and there was no time for one after it
    ],
)
@pytest.mark.parametrize(("end", "status"), [(None, None), (3.0, 200), (20.0, 200), (30.0, 500)])
def test_the_lease_ran_out(lost: Lost, since: float, until: float, end: float | None, status: int | None) -> None:
    run = taken_over(end, status)
    lost[0](run, since, until)
    assert run.cause() is lost[1]


@TROUBLES
def test_a_trouble_that_left_time_for_a_renewal_explains_nothing(lost: Lost) -> None:
    before, after = taken_over(), taken_over()
    lost[0](before, 2, 9)
    lost[0](after, 13, 40)
    assert before.cause() is after.cause() is Cause.UNEXPLAINED


@TROUBLES
def test_a_lease_that_was_given_back_did_not_run_out(lost: Lost) -> None:
    run = taken_over()
    run.claims[0] = replace(run.claims[0], ended="released")
    lost[0](run, 2, 40)
    assert run.cause() is Cause.UNEXPLAINED


@TROUBLES
def test_a_call_that_was_never_leased_lost_no_lease(lost: Lost) -> None:
    run = taken_over()
    del run.claims[0]
    lost[0](run, 2, 40)
    assert run.cause() is Cause.UNEXPLAINED


@TROUBLES
def test_a_start_after_the_lease_ran_out_did_not_lose_it(lost: Lost) -> None:
    run = Run()
    run.lease(A, 0, 15)
    run.start(A, 20)
    run.lease(B, 21, 24, "completed")
    run.start(B, 22, 23)
    run.reply(B, 24)
    lost[0](run, 2, 17)
    assert run.cause() is Cause.UNEXPLAINED


@TROUBLES
def test_the_lease_that_counts_is_the_one_under_which_it_was_begun(lost: Lost) -> None:
    run = Run()
    run.lease(A, 0, 15)
    run.start(A, 1)
    run.lease(B, 15, 20, "released")
    run.start(B, 16, 18, 500, withheld=True)
    run.lease(A, 24, 28, "completed")
    run.start(A, 25, 27)
    lost[0](run, 2, 15.5)
    assert [repeat.cause for repeat in run.explain()] == [lost[1], Cause.WITHHELD]


@TROUBLES
def test_the_same_process_has_no_reason_to_begin_a_call_again(lost: Lost) -> None:
    run = Run()
    run.lease(A, 0, 15)
    run.start(A, 1, 3)
    run.lease(A, 15, 19, "completed")
    run.start(A, 16, 18)
    lost[0](run, 2, 15.5)
    assert run.cause() is Cause.UNEXPLAINED


@TROUBLES
def test_a_reply_that_should_have_been_written_long_before(lost: Lost) -> None:
    run = taken_over(2, until=45)
    lost[0](run, 30, 60)
    assert run.cause() is Cause.UNEXPLAINED


@TROUBLES
def test_a_reply_that_was_withheld_before_the_lease_ran_out(lost: Lost) -> None:
    run = taken_over(3, 500, withheld=True)
    lost[0](run, 4, 40)
    assert run.cause() is Cause.WITHHELD


def test_a_pause_of_another_process_explains_nothing() -> None:
    run = taken_over()
    run.pauses = [Pause(B_PID, 2, 15)]
    assert run.cause() is Cause.UNEXPLAINED


def test_no_running_process_lets_go_of_a_call_because_the_ledger_is_away() -> None:
    run = taken_over(10, None)
    run.outages = [Outage(2, 40)]
    assert run.cause() is Cause.UNEXPLAINED


def late(at: float = 40.5, resumed: float = 40.0) -> Run:
    """A is stopped at 2, before it sends the call that it has leased; B takes the call over; A resumes."""
    run = Run()
    run.lease(A, 0, 15)
    run.lease(B, 15, 60, "completed")
    run.start(B, 16, 59)
    run.start(A, at, 44)
    run.reply(B, 60)
    run.pauses = [Pause(A_PID, 2, resumed)]
    return run


def test_a_process_that_was_stopped_before_it_sent() -> None:
    assert late().against() == ([], [A])
    assert late().cause() is Cause.UNFENCED


def test_and_the_other_sends_after_it() -> None:
    """The lease is B's, whose start is in order: the one that it repeats is not."""
    run = late()
    run.log = [{**line, "at": 41.0} if line["event"] == "start" and line["owner"] == B else line for line in run.log]
    assert run.against() == ([], [A])
    (repeat,) = run.explain()
    assert (repeat.owner, repeat.cause) == (B, Cause.UNFENCED)


def test_the_call_was_not_claimed_yet() -> None:
    run = Run()
    run.lease(A, 0, 15)
    run.start(A, 20.5, 24)
    run.lease(B, 21, 26, "completed")
    run.start(B, 22, 25)
    run.pauses = [Pause(A_PID, 2, 20)]
    assert run.against() == ([], [])
    assert run.cause() is Cause.UNFENCED


def test_the_others_are_judged_as_if_the_unfenced_were_not_there() -> None:
    run = late()
    run.start(B, 59.5, 59.75)  # B's own, again: its first continues
    assert [repeat.cause for repeat in run.explain()] == [Cause.UNFENCED, Cause.UNEXPLAINED]
    run.log = [
        {**line, "end": 50.0, "status": 500, "withheld": True} if line.get("end") == 59 else line for line in run.log
    ]
    causes = [(repeat.owner, repeat.previous, repeat.cause) for repeat in run.explain()]
    assert causes == [(A, B, Cause.UNFENCED), (B, B, Cause.WITHHELD)]


def test_an_unfenced_start_after_the_reply_is_stored() -> None:
    run = late()
    run.claims[1] = replace(run.claims[1], until=20.0)
    run.calls = []
    run.reply(B, 20.0)
    assert run.against() == ([], [A])


def unpaused(run: Run) -> None:
    run.pauses.clear()


def others_pause(run: Run) -> None:
    run.pauses = [replace(pause, pid=B_PID) for pause in run.pauses]


def lease_ended_before(run: Run) -> None:
    run.pauses = [replace(pause, since=15.5) for pause in run.pauses]


def leased_after(run: Run) -> None:
    run.claims[0] = replace(run.claims[0], since=3.0)


def given_back_after(run: Run) -> None:
    run.claims = [ClaimRow(CALL, A, 0, 40.25, "released"), ClaimRow(CALL, B, 40.25, 60, "completed")]
    run.log = [{**line, "at": 40.375} if line.get("at") == 16 else line for line in run.log]


def claimed_again(run: Run) -> None:
    run.lease(A, 40.25, 40.3, "released")


def never_leased(run: Run) -> None:
    del run.claims[0]


def sent_later(run: Run) -> None:
    run.pauses = [replace(pause, until=39.0) for pause in run.pauses]


@pytest.mark.parametrize(
    "change",
    [
        unpaused,
        others_pause,
        lease_ended_before,
        leased_after,
        given_back_after,
        claimed_again,
        never_leased,
        sent_later,
    ],
)
def test_against_the_ledger_for_no_reason(change: Callable[[Run], None]) -> None:
    run = late()
    change(run)
    assert run.against() == ([A], [])
    assert run.cause() is Cause.UNEXPLAINED


def test_started_again_after_its_own_reply_was_stored() -> None:
    """A short pause while the call was under way is no excuse."""
    run = Run()
    run.lease(A, 0, 5, "completed")
    run.start(A, 1, 4)
    run.reply(A, 5)
    run.start(A, 5.25, 6)
    run.pauses = [Pause(A_PID, 2, 4.75)]
    assert run.against() == ([A], [])
    assert run.cause() is Cause.UNEXPLAINED


def test_no_fault_excuses_a_repeat_against_the_ledger() -> None:
    run = ended(taken_over(3, None), 3.0)
    run.claims[1] = replace(run.claims[1], since=20.0, until=24.0)
    run.claims[0] = replace(run.claims[0], until=20.0)
    assert run.against() == ([B], [])
    assert run.cause() is Cause.UNEXPLAINED


def test_in_order_nothing_is_against_the_ledger() -> None:
    assert taken_over().against() == retried().against() == ([], [])

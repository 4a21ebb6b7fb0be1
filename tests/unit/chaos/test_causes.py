"""The cause of a repeat: the server, the end of a process, the drain's deadline."""

from typing import Literal

import pytest

from tests.chaos.causes import Cause, Outage, Pause
from tests.unit.chaos.evidence import A_PID, B_PID, NEW, TIMEOUT_S, A, B, Run, ended, retried, taken_over


@pytest.mark.parametrize("status", [500, 502, 429, 403, 200, None])
def test_a_reply_that_was_withheld(status: int | None) -> None:
    assert retried(status=status).cause() is Cause.WITHHELD


def test_a_reply_that_was_withheld_only_after_the_repeat_explains_nothing() -> None:
    assert retried(end=6.0).cause() is Cause.UNEXPLAINED


@pytest.mark.parametrize("status", [200, 400, None])
def test_a_reply_that_the_server_gave_or_a_client_did_not_wait_for_explains_nothing(status: int | None) -> None:
    assert retried(status=status, withheld=False).cause() is Cause.UNEXPLAINED


def test_the_server_died_under_the_call() -> None:
    assert retried(end=None, server=NEW).cause() is Cause.WITHHELD


def test_a_server_that_is_heard_of_later_did_not_die() -> None:
    assert retried(end=None).cause() is Cause.UNEXPLAINED
    other = retried(end=None, server=NEW)
    other.start(B, 9, 10, call_id="call-2")
    assert other.cause() is Cause.UNEXPLAINED


def test_the_server_stopped_in_order_under_the_call() -> None:
    assert retried(status=None, withheld=False, server=NEW).cause() is Cause.WITHHELD


@pytest.mark.parametrize(("end", "status"), [(None, None), (2.0, None)])
def test_a_server_left_its_pool_under_the_call(end: float | None, status: int | None) -> None:
    run = Run()
    run.start(B, 0.5, 1.5, server=NEW, call_id="call-2")
    run.start(A, 1, end, status)
    run.start(A, 4, 5, server=NEW)
    assert run.cause() is Cause.WITHHELD


def test_another_server_of_a_pool_explains_no_repeat_by_itself() -> None:
    run = Run()
    run.start(A, 1, 2, None)
    run.start(B, 3, 9, call_id="call-2")
    run.start(A, 4, 5, server=NEW)
    assert run.cause() is Cause.UNEXPLAINED


def test_a_server_that_stopped_after_its_reply_explains_nothing() -> None:
    assert retried(status=200, withheld=False, server=NEW).cause() is Cause.UNEXPLAINED


def test_a_client_that_left_and_came_again_to_the_same_server() -> None:
    run = Run()
    run.start(A, 1, 3, None)
    run.start(A, 3.5)
    assert run.cause() is Cause.UNEXPLAINED


@pytest.mark.parametrize(
    ("took", "status", "again", "cause"),
    [
        (TIMEOUT_S, None, A, Cause.TIMED_OUT),
        (TIMEOUT_S - 0.1, None, A, Cause.TIMED_OUT),
        (TIMEOUT_S, 200, A, Cause.UNEXPLAINED),  # the reply came
        (TIMEOUT_S - 5, None, A, Cause.UNEXPLAINED),
        (TIMEOUT_S + 5, None, A, Cause.UNEXPLAINED),
        (TIMEOUT_S, None, B, Cause.UNEXPLAINED),  # another process did not wait for it
    ],
)
def test_a_client_that_left_at_its_time_out(took: float, status: int | None, again: str, cause: Cause) -> None:
    run = Run()
    run.start(A, 1, 1 + took, status)
    run.start(again, 120)
    assert run.cause() is cause


def test_a_client_that_left_long_before_the_server_stopped() -> None:
    run = retried(status=None, withheld=False, server=NEW)
    run.start(B, 4.5, 4.75, call_id="call-2")
    assert run.cause() is Cause.UNEXPLAINED


@pytest.mark.parametrize(("how", "cause"), [("killed", Cause.KILLED), ("exited", Cause.EXITED)])
@pytest.mark.parametrize(
    ("end", "status"),
    [
        (3.0, None),  # the server saw the client die
        (2.5, None),  # and the controller saw it later
        (2.0, 200),  # a reply that had just come
        (9.0, 200),  # or came afterwards, to nobody
        (None, None),
    ],
)
def test_the_process_died_with_the_call(
    how: Literal["killed", "exited"], cause: Cause, end: float | None, status: int | None
) -> None:
    assert ended(taken_over(end, status), 3.0, how).cause() is cause


def test_the_death_of_another_process_explains_nothing() -> None:
    assert ended(taken_over(), 3.0, pid=B_PID).cause() is Cause.UNEXPLAINED
    assert ended(taken_over(), 3.0, name="generator-11").cause() is Cause.UNEXPLAINED


def test_a_death_at_another_time_explains_nothing() -> None:
    assert ended(taken_over(), 30.0).cause() is Cause.UNEXPLAINED  # after the repeat
    assert ended(taken_over(), -10.0).cause() is Cause.UNEXPLAINED  # an earlier process of the same id
    assert ended(taken_over(), 14.0, began=12.0).cause() is Cause.UNEXPLAINED  # a later one


def test_a_process_that_still_runs_explains_nothing() -> None:
    assert ended(taken_over(), 3.0, ended=None).cause() is Cause.UNEXPLAINED


def test_a_death_long_after_the_reply_explains_nothing() -> None:
    """The reply should have been written in the meantime."""
    run = taken_over(2.0, until=45)
    assert ended(run, 30.0).cause() is Cause.UNEXPLAINED


def test_a_death_long_after_the_reply_while_the_ledger_was_away() -> None:
    run = ended(taken_over(2.0, until=45), 30.0)
    run.outages = [Outage(4, 27)]
    assert run.cause() is Cause.KILLED


def test_a_death_long_after_the_reply_through_one_trouble_after_another() -> None:
    run = ended(taken_over(2.0, until=45), 30.0)
    run.outages = [Outage(4, 12)]
    run.pauses = [Pause(A_PID, 15, 24)]
    assert run.cause() is Cause.KILLED


def test_a_death_after_the_client_had_left_explains_nothing() -> None:
    assert ended(taken_over(3.0, None), 12.0).cause() is Cause.UNEXPLAINED


def test_a_death_after_the_server_had_withheld_the_reply_is_not_the_cause() -> None:
    assert ended(taken_over(3.0, 500, withheld=True), 12.0).cause() is Cause.WITHHELD


def test_a_death_under_a_server_that_hung_is_the_cause() -> None:
    assert ended(taken_over(3.0, None, withheld=True), 3.0).cause() is Cause.KILLED


def drained(end: float | None, status: int | None, cut: float | None) -> Run:
    """A's drain ends at 12, and B claims the call that it gave back at 10."""
    run = Run()
    run.lease(A, 0, 10, "released")
    run.start(A, 1, end, status)
    run.lease(B, 10, 14, "completed")
    run.start(B, 10.5, 13)
    run.reply(B, 14)
    return ended(run, 12.0, "stopped", cut=cut)


@pytest.mark.parametrize(("end", "status"), [(10.0, None), (9.0, 200), (None, None)])
def test_the_drains_deadline_cut_the_call_off(end: float | None, status: int | None) -> None:
    assert drained(end, status, 10.0).cause() is Cause.DRAINED


def test_a_drain_within_its_deadline_explains_nothing() -> None:
    assert drained(10.0, None, None).cause() is Cause.UNEXPLAINED


def test_a_deadline_at_another_time_explains_nothing() -> None:
    assert drained(8.0, None, 10.0).cause() is Cause.UNEXPLAINED  # the client left earlier
    assert drained(None, None, 11.0).cause() is Cause.UNEXPLAINED  # B began before it
    assert drained(10.0, None, 0.5).cause() is Cause.UNEXPLAINED  # the call was begun after it

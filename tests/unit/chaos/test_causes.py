"""Each cause of a repeat, what only looks like it, and what holds of any evidence whatever."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Usage
from services.core.ledger.calls import Reply
from services.core.ledger.ports import CallRow, ClaimRow
from tests.chaos.causes import Cause, Life, Outage, Pause, Repeat, against_ledger, by_cause, explain, unkept, unleased

LEASE_S = 15.0
A, A_PID = "generator-1-generator-101-aaaa", 101
B, B_PID = "generator-2-generator-202-bbbb", 202
CALL = "call-1"
OLD, NEW = 1, 2
"""Processes of the model server."""


@dataclass
class Run:
    """Evidence made by hand; times count from 0."""

    log: list[dict[str, Any]] = field(default_factory=list)
    claims: list[ClaimRow] = field(default_factory=list)
    calls: list[CallRow] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)

    def start(
        self,
        owner: str,
        at: float,
        end: float | None = None,
        status: int | None = 200,
        *,
        withheld: bool = False,
        server: int = OLD,
        call_id: str = CALL,
    ) -> None:
        n = len(self.log)
        named = {"n": n, "server": server, "id": call_id, "owner": owner, "stage": "verify", "case": "case-1"}
        self.log.append({"event": "start", **named, "at": at})
        if end is not None:
            notes = {"fault": "500", "withheld": True} if withheld else {}
            self.log.append({"event": "end", **named, "start": at, "end": end, "status": status, **notes})

    def lease(
        self, owner: str, since: float, until: float, ended: Literal["completed", "released", "open"] = "open"
    ) -> None:
        self.claims.append(ClaimRow(CALL, owner, since, until, ended))

    def reply(self, owner: str, at: float) -> None:
        self.calls.append(CallRow(CALL, owner, at, Reply("", "stop", Usage())))

    def explain(self) -> list[Repeat]:
        return explain(self.log, self.claims, self.calls, self.lives, self.pauses, self.outages, LEASE_S)

    def cause(self) -> Cause:
        (repeat,) = self.explain()
        return repeat.cause

    def against(self) -> tuple[list[str], list[str]]:
        """The owners of the starts against the ledger: defects, unfenced."""
        defects, unfenced = against_ledger(self.log, self.claims, self.calls, self.pauses)
        return [start.owner for start in defects], [start.owner for start in unfenced]


def taken_over(
    end: float | None = None, status: int | None = 200, *, withheld: bool = False, until: float = 15.0
) -> Run:
    """A begins a call at 1 on a lease from 0, which runs out; B claims it and begins it again, a second later."""
    run = Run()
    run.lease(A, 0, until)
    run.start(A, 1, end, status, withheld=withheld)
    run.lease(B, until, until + 4, "completed")
    run.start(B, until + 1, until + 3)
    run.reply(B, until + 4)
    return run


# --- the server ------------------------------------------------------------------------------------------------------


def retried(end: float | None = 3.0, status: int | None = 500, *, withheld: bool = True, server: int = OLD) -> Run:
    """A begins a call at 1 and again at 5; all the while it has the lease."""
    run = Run()
    run.lease(A, 0, 8, "completed")
    run.start(A, 1, end, status, withheld=withheld)
    run.start(A, 5, 7, server=server)
    run.reply(A, 8)
    return run


@pytest.mark.parametrize("status", [500, 429, 200, None])
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


def test_a_server_that_stopped_after_its_reply_explains_nothing() -> None:
    assert retried(status=200, withheld=False, server=NEW).cause() is Cause.UNEXPLAINED


def test_a_client_that_left_and_came_again_to_the_same_server() -> None:
    run = Run()
    run.start(A, 1, 3, None)
    run.start(A, 3.5)
    assert run.cause() is Cause.UNEXPLAINED


def test_a_client_that_left_long_before_the_server_stopped() -> None:
    run = retried(status=None, withheld=False, server=NEW)
    run.start(B, 4.5, 4.75, call_id="call-2")
    assert run.cause() is Cause.UNEXPLAINED


# --- the process's end -----------------------------------------------------------------------------------------------


def ended(run: Run, at: float, how: Literal["killed", "exited", "stopped"] = "killed", **changes: Any) -> Run:
    """A's process ended."""
    run.lives.append(replace(Life("generator-1", A_PID, -50, at, how), **changes))
    return run


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


# --- the drain's deadline --------------------------------------------------------------------------------------------


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


# --- the loss of a lease ---------------------------------------------------------------------------------------------

Lost = tuple[Callable[[Run, float, float], None], Cause]


def paused(run: Run, since: float, until: float) -> None:
    run.pauses.append(Pause(A_PID, since, until))


def away(run: Run, since: float, until: float) -> None:
    run.outages.append(Outage(since, until))


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


# --- starts against the ledger ---------------------------------------------------------------------------------------


def late(at: float = 40.5, resumed: float = 40.0) -> Run:
    """A is stopped at 2, before it sends the call that it has leased; B takes the call over; A goes on."""
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


def test_and_nobody_had_claimed_the_call_yet() -> None:
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
    run.start(B, 59.5, 59.75)  # B's own, again: its first goes on
    assert [repeat.cause for repeat in run.explain()] == [Cause.UNFENCED, Cause.UNEXPLAINED]
    run.log = [
        {**line, "end": 50.0, "status": 500, "withheld": True} if line.get("end") == 59 else line for line in run.log
    ]
    causes = [(repeat.owner, repeat.previous, repeat.cause) for repeat in run.explain()]
    assert causes == [(A, B, Cause.UNFENCED), (B, B, Cause.WITHHELD)]


def test_an_unfenced_start_after_the_reply_stands() -> None:
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


def test_begun_again_after_its_own_reply_stands() -> None:
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


# --- of any evidence -------------------------------------------------------------------------------------------------

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


# --- without a lease, without a row ----------------------------------------------------------------------------------


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


def test_a_reply_that_was_sent_and_stands_nowhere_is_unkept() -> None:
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

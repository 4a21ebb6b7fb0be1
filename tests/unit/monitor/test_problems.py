"""What the monitor names as a problem, and what it does not."""

from dataclasses import replace

import pytest

from services.core.ledger.reports import ModelReport
from services.core.status.figures import TopicFigures
from services.monitor.groups import GroupSign, GroupWatch
from services.monitor.problems import DISK_BYTES, Signs, problems
from services.runtime.kafka.admin import Group

OLD = TopicFigures(topic="case-medium", open=1, seen=1, per_minute=0, oldest_s=9e4)
AWAY = ModelReport("judge", "away", "401: invalid key")
STILL = Signs(groups={"refiner-medium": GroupSign(lag=3, still_s=90)})


def test_a_healthy_stream_has_no_problem() -> None:
    quiet = {name: GroupSign(lag=lag) for name, lag in (("generator", 40), ("router", 0))}
    assert problems(Signs(groups=quiet, disk_free=DISK_BYTES)) == ()


@pytest.mark.parametrize(
    ("signs", "kind", "what"),
    [
        (Signs(circuits={"verifier": "a burst"}), "circuit", "verifier"),
        (Signs(models={"judge": AWAY}), "model_away", "judge"),
        (Signs(models={"judge": replace(AWAY, kind="slow")}), "model_slow", "judge"),
        (Signs(budget_stopped=True), "budget", "admission"),
        (Signs(disk_free=DISK_BYTES - 1), "disk", "the ledger's disk"),
        (Signs(away={"Kafka": "no answer"}), "dependency", "Kafka"),
        (Signs(groups={"generator": GroupSign(lag=3, down=True)}), "service_down", "generator"),
        (Signs(groups={"router": GroupSign(restarts=4)}), "restarting", "router"),
        (Signs(groups={"verifier": GroupSign(lag=3, still_s=61)}), "stalled", "verifier"),
        (Signs(topics=(OLD,)), "stuck", "case-medium"),
    ],
)
def test_each_trouble_is_named_with_its_subject_and_a_remedy(signs: Signs, kind: str, what: str) -> None:
    (problem,) = problems(signs)
    assert (problem.kind, problem.what) == (kind, what)
    assert problem.why
    assert problem.remedy


@pytest.mark.parametrize(
    "signs",
    [
        replace(STILL, calls_under_way={"refiner": 1}),
        replace(STILL, circuits={"refiner-medium": "a burst"}),
        replace(STILL, models={"judge": AWAY}),
        replace(STILL, away={"ledger": "locked"}),
    ],
    ids=["calls", "circuit", "model", "ledger"],
)
def test_a_service_that_waits_for_a_named_reason_is_not_called_stalled(signs: Signs) -> None:
    assert "stalled" not in {each.kind for each in problems(signs)}


def test_questions_that_wait_for_a_budget_are_neither_stalled_nor_stuck() -> None:
    topic = TopicFigures(topic="question-submitted", open=9, seen=9, per_minute=0, oldest_s=1e6)
    signs = Signs(budget_stopped=True, groups={"router": GroupSign(lag=9, still_s=90)}, topics=(topic,))
    assert [each.kind for each in problems(signs)] == ["budget"]


def looks(watch: GroupWatch, *each: tuple[float, str, int, int]) -> GroupSign:
    sign = GroupSign()
    for at, members, committed, lag in each:
        sign = watch.note(at, {"router": Group(frozenset(members), committed)}, {"router": lag})["router"]
    return sign


def test_a_group_without_members_is_down_after_a_rebalance_s_time() -> None:
    watch = GroupWatch()
    assert not looks(watch, (0, "a", 0, 5), (2, "", 0, 5)).down
    assert looks(watch, (6, "", 0, 5)).down
    assert not looks(watch, (8, "b", 0, 5)).down


def test_a_group_stands_still_while_messages_wait_and_nothing_is_committed() -> None:
    watch = GroupWatch()
    assert looks(watch, (0, "a", 7, 5), (59, "a", 7, 6)).still_s == 0
    assert looks(watch, (61, "a", 7, 6)).still_s == 61
    assert looks(watch, (63, "a", 8, 5)).still_s == 0
    assert looks(watch, (200, "a", 8, 0), (230, "a", 8, 3)).still_s == 0


def test_restarts_are_those_beyond_a_rolling_change() -> None:
    watch = GroupWatch()
    assert looks(watch, (0, "ab", 0, 0), (2, "cb", 0, 0), (4, "cd", 0, 0)).restarts == 0, "each worker once"
    assert looks(watch, (6, "ed", 0, 0), (8, "fd", 0, 0)).restarts == 4
    assert looks(watch, (400, "fd", 0, 0)).restarts == 0, "the window has passed"


def test_scaling_up_and_down_is_no_restart() -> None:
    watch = GroupWatch()
    assert looks(watch, (0, "a", 0, 0), (2, "abcdefgh", 0, 0), (4, "ab", 0, 0)).restarts == 0

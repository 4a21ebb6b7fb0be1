"""Rates and latencies between snapshots of totals."""

from services.core.status.history import POINTS, Snapshot, history


def snapshot(at: float, **totals: float) -> Snapshot:
    zero = {"ended": 0, "ended_s": 0.0, "calls": 0, "usd": 0.0, "tokens_out": 0, "in_flight": 0.0}
    return Snapshot(at=at, seen={"question-submitted": int(at)}, **(zero | totals))


def test_a_step_has_the_rates_between_two_minutes() -> None:
    minutes = [
        snapshot(0, ended=10, ended_s=300, calls=100, usd=1.0, tokens_out=0),
        snapshot(60, ended=13, ended_s=480, calls=160, usd=1.5, tokens_out=6_000, in_flight=20),
    ]
    (point,) = history(minutes, 3_600).points
    assert point.at == 60
    assert point.per_minute == {"question-submitted": 60}
    assert (point.usd_per_hour, point.tokens_per_s) == (30.0, 100.0)
    assert (point.calls_per_minute, point.call_s) == (60.0, 20.0), "20 in flight, one ended a second"
    assert (point.cases_per_minute, point.case_s) == (3.0, 60.0)


def test_minutes_without_a_monitor_are_one_longer_step() -> None:
    points = history([snapshot(0), snapshot(60, calls=60), snapshot(660, calls=120, in_flight=1)], 3_600).points
    assert [point.at for point in points] == [60, 660]
    assert points[1].calls_per_minute == 6.0


def test_a_day_has_a_bounded_number_of_points_and_an_hour_its_minutes() -> None:
    day = [snapshot(60 * minute) for minute in range(1_441)]
    assert len(history(day, 3_600).points) == 60
    assert len(history(day, 86_400).points) == POINTS
    assert history(day, 3_600).points[0].at == day[-1].at - 3_600 + 60


def test_nothing_is_no_history_and_one_minute_no_step() -> None:
    assert history([], 3_600).points == ()
    assert history([snapshot(5)], 3_600).points == ()


def test_totals_that_fall_make_no_negative_rate() -> None:
    (point,) = history([snapshot(0, ended=5, ended_s=50), snapshot(60, ended=4, ended_s=40)], 3_600).points
    assert (point.cases_per_minute, point.case_s) == (0.0, None)

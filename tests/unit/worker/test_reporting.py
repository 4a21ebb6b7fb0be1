"""What a worker reports of its models: those that take no calls, and calls that are far older than others took."""

import pytest

from services.llm.gate import Down
from services.llm.stats import Stats
from services.worker.reporting import LEAST_S, WITHOUT_HISTORY_S, reports

NOW = 10_000.0


class Models:
    """Of a dispatcher, what reports are made of."""

    def __init__(self, **down: Down) -> None:
        self.stats = Stats()
        self._down = down

    def status(self) -> dict[str, Down]:
        return self._down

    def ended(self, *seconds: float) -> None:
        for each in seconds:
            self.stats.seconds["qwen", "verify"].add(each)

    def begun(self, name: str, age: float, stage: str = "verify") -> None:
        self.stats.begun[name] = "qwen", stage, NOW - age


def reported(models: Models) -> list[tuple[str, str]]:
    return [(each.alias, each.kind) for each in reports(models, NOW)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("took", "age", "slow"),
    [
        ([1.0] * 100, LEAST_S, False),
        ([1.0] * 100, LEAST_S + 1, True),
        ([40.0] * 100, 79, False),
        ([40.0] * 100, 81, True),
        ([1.0] * 99 + [3_000.0], 11, True),  # one of a hundred
        ([1.0] * 90 + [100.0] * 10, 200, False),
        ([], WITHOUT_HISTORY_S - 1, False),
        ([], WITHOUT_HISTORY_S + 1, True),
        ([9_000.0], 1e6, False),  # beyond every bound: nothing is known
    ],
)
def test_a_call_is_slow_beyond_twice_what_99_of_100_took(took: list[float], age: float, slow: bool) -> None:
    models = Models()
    models.ended(*took)
    models.begun("old", age)
    models.begun("new", 0.1)
    assert reported(models) == ([("qwen", "slow")] if slow else [])


def test_stages_of_a_model_have_times_of_their_own() -> None:
    models = Models()
    models.ended(*[1.0] * 50)
    models.begun("a", 60, stage="generate")
    assert reported(models) == []


def test_a_model_that_takes_no_calls_is_not_slow_too() -> None:
    models = Models(qwen=Down(for_s=12, why="HTTP 401: the key is refused", reason="key"))
    models.ended(*[1.0] * 50)
    models.begun("old", 60)
    (report,) = reports(models, NOW)  # type: ignore[arg-type]
    assert (report.kind, report.why) == ("away", "HTTP 401: the key is refused (key, for 12 s)")

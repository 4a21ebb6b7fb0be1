"""A plan's arithmetic: it is the chart's, grows with the demand, and says what is full first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core import sizing
from services.core.planning.demand import Shares, Tokens
from services.core.planning.deployment import Cluster, Pool, TooShort, plan, rate_of, takes_s
from tests.strategies import recipe

RECIPE = recipe()
SERVICES = tuple(sizing.waves(RECIPE))


def cluster(*, most: int = 4, gpus: int = 2, at_once: int = 32, call_s: float = 60, pods: int = 12) -> Cluster:
    pool = Pool(at_once=at_once, call_s=call_s, gpus=gpus, most=most)
    return Cluster(
        pools=dict.fromkeys(RECIPE.models, pool),
        cases=dict.fromkeys(SERVICES, 32),
        most=dict.fromkeys(SERVICES, pods),
        wait_s=120,
        start_s=600,
    )


@given(per_s=st.floats(0.001, 5), call_s=st.floats(1, 300), at_once=st.integers(1, 256))
def test_servers_and_pods_take_the_load_and_are_no_more_than_one_too_many(
    per_s: float, call_s: float, at_once: int
) -> None:
    made = plan(RECIPE, cluster(call_s=call_s, at_once=at_once), per_s=per_s)
    for model in made.models:
        load = sum(each.per_s for each in made.calls if each.alias == model.alias) * call_s
        assert model.servers * at_once >= load * 0.99, "the threshold is a whole number of calls"
        spare = 1 + 1 / sizing.threshold(at_once, call_s, 600)  # the number of calls wanted is a whole one too
        assert model.servers - 1 <= load / at_once * (1 + 1 / at_once) + spare
        assert model.gpus == 2 * model.servers


@given(per_s=st.floats(0.001, 2), factor=st.integers(2, 9))
def test_more_questions_need_no_less_of_anything(per_s: float, factor: int) -> None:
    some, more = (plan(RECIPE, cluster(), per_s=rate) for rate in (per_s, factor * per_s))
    assert more.gpus >= some.gpus
    assert more.partitions >= some.partitions
    assert more.bytes.kafka == pytest.approx(factor * some.bytes.kafka, rel=1e-3)
    assert more.usd_of_case == some.usd_of_case
    assert more.bound_cases_per_h == some.bound_cases_per_h


def test_what_is_full_first_bounds_it_and_below_the_bound_it_fits() -> None:
    few_servers, few_pods = plan(RECIPE, cluster(most=1), per_s=1), plan(RECIPE, cluster(most=999, pods=1), per_s=1)
    assert (few_servers.bound, few_servers.fits) == ("model one", False), "the judge's model has most calls"
    assert few_pods.bound == "service verifier"
    below = plan(RECIPE, cluster(most=1), per_s=few_servers.bound_cases_per_h / 3600)
    assert below.fits
    assert {each.alias: each.servers for each in below.models}["one"] <= 1


def test_cases_at_once_end_in_time_at_the_rate_that_it_names() -> None:
    with pytest.raises(TooShort, match="give more than"):
        rate_of(100, 700, RECIPE, cluster())
    rate = rate_of(10_000, 8 * 3600, RECIPE, cluster())
    assert takes_s(10_000, plan(RECIPE, cluster(), per_s=rate)) == pytest.approx(8 * 3600, rel=1e-4)


def test_what_was_measured_replaces_what_is_assumed_and_is_priced() -> None:
    made = plan(RECIPE, cluster(), per_s=1, measured={("one", "verify"): (20.0, Tokens(1_000, 100))})
    judged = next(each for each in made.calls if (each.alias, each.stage) == ("one", "verify"))
    assert (judged.of_case, judged.measured) == (20.0, True)
    assert judged.usd_of_case == pytest.approx(20 * (1_000 * 0.4 + 100 * 0.8) / 1e6)
    assert [each.measured for each in made.calls].count(True) == 1


@pytest.mark.parametrize("fewer", [{"sampling": "adaptive"}, {"judge": "needed"}])
def test_a_recipe_that_asks_for_less_needs_less(fewer: dict[str, str]) -> None:
    all_, some = plan(RECIPE, cluster(), per_s=1), plan(RECIPE.with_(**fewer), cluster(), per_s=1)
    assert sum(each.per_s for each in some.calls) < sum(each.per_s for each in all_.calls)
    assert some.usd_of_case < all_.usd_of_case


def test_a_server_elsewhere_needs_no_gpu() -> None:
    made = plan(RECIPE, cluster(gpus=0, most=1), per_s=1, shares=Shares(medium=0, difficult=0))
    assert made.gpus == 0
    assert {each.servers for each in made.models} == {1}

"""The seeded share of paths that are judged though their stated answer decides."""

import pytest

from services.core import ids
from services.core.case.judging import AUDIT, needs_no_judge
from tests.strategies import case, path, recipe

NEEDED = recipe(judge="needed")


@pytest.mark.parametrize(("audit", "share"), [(None, AUDIT), (0.0, 0.0), (0.3, 0.3), (1.0, 1.0)])
def test_about_the_share_is_judged_all_the_same_and_always_the_same_paths(audit: float | None, share: float) -> None:
    paths = [
        (made := case().with_(case_id=ids.digest("case", number)), path(made, slot, text="Final answer: D"))
        for number in range(250)
        for slot in range(8)
    ]
    of = NEEDED.with_(audit=audit)
    judged = [not needs_no_judge(each, made, of) for made, each in paths]
    assert judged == [not needs_no_judge(each, made, of) for made, each in paths]
    assert sum(judged) / len(judged) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(("text", "judge"), [("Final answer: C", "needed"), ("It is so.", "needed"), ("D", "all")])
def test_gold_or_no_answer_is_always_judged_and_all_is_all(text: str, judge: str) -> None:
    assert not needs_no_judge(path(case(), 0, text=text), case(), recipe(judge=judge, audit=0.0))


def test_the_defaults_are_no_part_of_a_recipe_s_id() -> None:
    assert {"judge", "audit"}.isdisjoint(recipe().model_dump(mode="json"))
    assert ids.recipe_id(NEEDED) != ids.recipe_id(recipe())

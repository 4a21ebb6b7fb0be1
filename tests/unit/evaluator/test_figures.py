"""The figures of judgements: by variant, difficulty and model."""

from collections.abc import Callable

from services.contracts.case import Usage
from services.core.case.asking import Reading
from services.core.ledger.calls import Reply
from services.evaluator.evaluation import load
from services.evaluator.figures import groups, tokens
from services.evaluator.handler import VARIANTS, Judgement, evaluate
from services.evaluator.replies import CRITERIA, Rated
from services.evaluator.sample import Item
from services.llm.fake import ScriptedModels


def test_figures_stand_by_variant_difficulty_and_model_and_what_was_not_read_is_in_no_mean(
    item_of: Callable[..., Item],
) -> None:
    def judged(number: int, variant: str, value: int | None, **of: str) -> Judgement:
        rated = None if value is None else Rated(dict.fromkeys(CRITERIA, value), "")
        return Judgement(item_of(number, **of), variant, Reading(rated, "", ()))

    judgements = [judged(number, variant, 6 + number % 2) for number in range(10) for variant in VARIANTS]
    judgements += [judged(10, "CoTMed", None, difficulty="difficult"), judged(11, "CoTMed", 1, model="other@1")]
    found = {(group["variant"], group["by"], group["of"]): group for group in groups(judgements)}

    whole = found["CoTMed", "all", "all"]
    assert (whole["records"], whole["questions"], whole["unread"]) == (12, 12, 1)
    assert whole["overall"]["mean"] == whole["logic"]["mean"] == round(66 / 11, 3)
    assert found["CoTMed", "difficulty", "difficult"]["overall"] == {"mean": None, "low": None, "high": None}
    assert found["CoTMed", "model", "other@1"]["overall"] == {"mean": 1.0, "low": None, "high": None}
    assert found["ResponseMed", "all", "all"]["overall"]["mean"] == 6.5
    assert ("ResponseMed", "model", "other@1") not in found


async def test_tokens_are_those_of_every_ask(item_of: Callable[..., Item]) -> None:
    models = ScriptedModels(lambda request: Reply("unclear", "stop", Usage(prompt=10, completion=4, cached=3)))
    judgements = await evaluate([item_of(1)], load(), models, at_once=1)
    assert tokens(judgements) == {"calls": 9, "failed": 0, "in": 90, "out": 36, "cached": 27}

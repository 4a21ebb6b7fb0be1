"""The ratings of each variant as means with intervals (services.core.intervals), clustered by question: the two
records of a case share a question. Pure."""

from collections.abc import Sequence
from typing import Any

from services.core.intervals import Mean, mean
from services.core.ledger.calls import Reply
from services.evaluator.handler import VARIANTS, Judgement
from services.evaluator.replies import CRITERIA, LEAST, MOST, Rated


def groups(judgements: Sequence[Judgement]) -> list[dict[str, Any]]:
    """The figures of each variant: over all records, by difficulty, and by the model that wrote the chain of
    thought."""
    found = []
    for variant in VARIANTS:
        own = [judgement for judgement in judgements if judgement.variant == variant]
        found.append({"variant": variant, "by": "all", "of": "all", **_figures(own)})
        for by in ("difficulty", "model"):
            for of in sorted({getattr(judgement.item, by) for judgement in own}):
                part = [judgement for judgement in own if getattr(judgement.item, by) == of]
                found.append({"variant": variant, "by": by, "of": of, **_figures(part)})
    return found


def tokens(judgements: Sequence[Judgement]) -> dict[str, int]:
    """Calls and tokens of all requests, including replies that were already in the ledger and permanent failures."""
    answers = {answer.request.call_id: answer for one in judgements for answer in one.reading.answers}.values()
    usages = [answer.outcome.usage for answer in answers]
    return {
        "calls": len(answers),
        "failed": sum(not isinstance(answer.outcome, Reply) for answer in answers),
        "in": sum(usage.prompt for usage in usages),
        "out": sum(usage.completion for usage in usages),
        "cached": sum(usage.cached for usage in usages),
    }


def _figures(judgements: Sequence[Judgement]) -> dict[str, Any]:
    read = [(one.item.case_id, one.reading.value) for one in judgements if one.reading.value is not None]
    return {
        "records": len(judgements),
        "questions": len({judgement.item.case_id for judgement in judgements}),
        "unread": len(judgements) - len(read),
        "overall": _rounded(mean(((case_id, value.overall) for case_id, value in read), least=LEAST, most=MOST)),
        **{criterion: _rounded(_criterion(read, criterion)) for criterion in CRITERIA},
    }


def _criterion(read: Sequence[tuple[str, Rated]], criterion: str) -> Mean | None:
    return mean(((case_id, value.ratings[criterion]) for case_id, value in read), least=LEAST, most=MOST)


def _rounded(found: Mean | None) -> dict[str, float | None]:
    """Rounded to three decimals: finer than the standard error of a sample of ten thousand."""
    if found is None:
        return {"mean": None, "low": None, "high": None}
    bounds = {"mean": found.mean, "low": found.low, "high": found.high}
    return {name: None if value is None else round(value, 3) for name, value in bounds.items()}

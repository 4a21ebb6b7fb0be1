"""The figures of a benchmark, by set and subject. Pure. An answer that states no letter is wrong."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from services.benchmark.asking import Answered
from services.contracts.recipe import Model
from services.core.intervals import Mean, mean, share
from services.core.ledger.calls import Reply
from services.core.ledger.spending import NANO, price_of


def groups(answered: Sequence[Answered]) -> list[dict[str, Any]]:
    """The figures of all questions, of each set, and of each subject of a set."""
    return [{"set": name, "subject": subject, **_figures(own)} for name, subject, own in _parts(answered)]


def usage(answered: Sequence[Answered], model: Model) -> dict[str, Any]:
    """Calls, tokens and USD of all answers, those that were already in the ledger included."""
    answers = [answer for one in answered for answer in one.answers]
    used = [answer.outcome.usage for answer in answers]
    cost = sum(
        price_of(model, case_id=one.request.case_id, alias=one.request.alias, stage=one.request.stage).nano_usd(
            one.outcome.usage
        )
        for one in answers
    )
    return {
        "calls": len(answers),
        "tokens_in": sum(one.prompt for one in used),
        "tokens_out": sum(one.completion for one in used),
        "cost_usd": round(cost / NANO, 6),
    }


def majority(letters: Sequence[str | None]) -> str | None:
    """The letter that most of the samples state; None if none does, or if two are stated equally often."""
    first, *others = [*Counter(letter for letter in letters if letter is not None).most_common(2), (None, 0)]
    return None if others and first[1] == others[0][1] else first[0]


def rounded(found: Mean | None) -> dict[str, float | None]:
    """Four decimals: finer than the interval of ten million questions."""
    if found is None:
        return {"mean": None, "low": None, "high": None}
    bounds = {"mean": found.mean, "low": found.low, "high": found.high}
    return {name: None if value is None else round(value, 4) for name, value in bounds.items()}


def _parts(answered: Sequence[Answered]) -> Iterator[tuple[str, str, list[Answered]]]:
    yield "all", "all", list(answered)
    for name in sorted({one.item.set for one in answered}):
        of_set = [one for one in answered if one.item.set == name]
        yield name, "all", of_set
        subjects = sorted({one.item.subject for one in of_set})
        for subject in subjects if len(subjects) > 1 else ():
            yield name, subject or "none", [one for one in of_set if one.item.subject == subject]


def _figures(own: Sequence[Answered]) -> dict[str, Any]:
    letters = [letter for one in own for letter in one.letters]
    outcomes = [answer.outcome for one in own for answer in one.answers]
    replies = [outcome for outcome in outcomes if isinstance(outcome, Reply)]
    return {
        "questions": len(own),
        "accuracy": rounded(_accuracy(own)),
        **_of_samples(own),
        "stated": round(sum(letter is not None for letter in letters) / len(letters), 4) if letters else None,
        "cut_off": sum(reply.finish_reason == "length" for reply in replies),
        "failed": len(outcomes) - len(replies),
    }


def _accuracy(own: Sequence[Answered]) -> Mean | None:
    if all(len(one.answers) == 1 for one in own):
        return share(sum(one.right for one in own), len(own))
    return mean(((str(at), one.right / len(one.answers)) for at, one in enumerate(own)), least=0.0, most=1.0)


def _of_samples(own: Sequence[Answered]) -> dict[str, Any]:
    samples = max((len(one.answers) for one in own), default=1)
    if samples == 1:
        return {}
    agreed = sum(majority(one.letters) == one.item.question.answer for one in own)
    return {
        f"maj@{samples}": rounded(share(agreed, len(own))),
        f"pass@{samples}": rounded(share(sum(one.right > 0 for one in own), len(own))),
    }

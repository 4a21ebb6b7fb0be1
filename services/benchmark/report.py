"""The report of a benchmark: figures, every answer, and the paired differences from another report. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.benchmark.asking import Answered, Candidate, messages
from services.benchmark.figures import groups, rounded, usage
from services.core import ids
from services.core.errors import Trouble
from services.core.intervals import mcnemar, paired_mean, paired_share
from services.core.ledger.calls import Answer, Reply

FORMAT = 1


class CannotCompare(Trouble):
    """Two reports have no question in common, or one is not a report."""


def report(answered: Sequence[Answered], candidate: Candidate, about: Mapping[str, Any]) -> dict[str, Any]:
    """All of the report's file. `about` says what only the caller knows: files, subset, index, weights."""
    model = candidate.model
    return {
        "format": FORMAT,
        "model": {"served": model.served, "revision": model.revision},
        **about,
        "prompt": candidate.prompt,
        "sampling": candidate.sampling.model_dump(mode="json"),
        "samples": candidate.samples,
        "groups": groups(answered),
        "usage": usage(answered, model),
        "answers": [_row(one, candidate) for one in answered],
    }


def against(this: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The differences in accuracy by set, this minus the other, over the questions that are in both, question by
    question. Raises CannotCompare."""
    first, second = _rights(this), _rights(other)
    common = [case_id for case_id in first if case_id in second]
    if not common:
        raise CannotCompare("the reports have no question in common: run both with the same files, --subset and --seed")
    sets = {row["case_id"]: row["set"] for row in this["answers"]}
    parts = [("all", common), *((name, [c for c in common if sets[c] == name]) for name in sorted(set(sets.values())))]
    return {
        "model": other["model"],
        "prompt": other["prompt"],
        "only_here": len(first) - len(common),
        "only_there": len(second) - len(common),
        "differences": [{"set": name, **_difference(own, first, second)} for name, own in parts if own],
    }


def _difference(own: Sequence[str], first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    pairs = [(first[case_id], second[case_id]) for case_id in own]
    if all(len(a) == len(b) == 1 for a, b in pairs):
        only_first = sum(a[0] and not b[0] for a, b in pairs)
        only_second = sum(b[0] and not a[0] for a, b in pairs)
        return {
            "questions": len(own),
            "difference": rounded(paired_share(only_first, only_second, len(own))),
            "only_this_right": only_first,
            "only_other_right": only_second,
            "mcnemar_p": round(mcnemar(only_first, only_second), 6),
        }
    differences = [(str(at), sum(a) / len(a) - sum(b) / len(b)) for at, (a, b) in enumerate(pairs)]
    return {"questions": len(own), "difference": rounded(paired_mean(differences))}


def _rights(report: Mapping[str, Any]) -> dict[str, list[bool]]:
    """Whether each sample is right, by question."""
    try:
        return {
            row["case_id"]: [one["stated"] == row["gold"] for one in row["samples"]]
            for row in report["answers"]
            if row["samples"]
        }
    except (KeyError, TypeError) as error:
        raise CannotCompare(f"it is no report of `reasonmed benchmark`: {error!r} is missing") from None


def _row(one: Answered, candidate: Candidate) -> dict[str, Any]:
    question = one.item.question
    return {
        "case_id": ids.case_id(question),
        "id": one.item.id,
        "set": one.item.set,
        "subject": one.item.subject,
        "gold": question.answer,
        "options": dict(question.options),
        "messages": messages(question, candidate.prompt),
        "samples": list(_samples(one)),
    }


def _samples(one: Answered) -> Iterator[dict[str, Any]]:
    for answer, letter in zip(one.answers, one.letters, strict=True):
        yield {"call_id": answer.request.call_id, "stated": letter, **_outcome(answer)}


def _outcome(answer: Answer) -> dict[str, Any]:
    outcome = answer.outcome
    if isinstance(outcome, Reply):
        return {"finish": outcome.finish_reason, "text": outcome.text}
    return {"failed": outcome.reason}

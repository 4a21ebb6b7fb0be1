"""Checks of a path that need no model."""

from services.contracts.case import Path, Verdict
from services.contracts.question import Question
from services.core.case.answers import final_answer, mentions_given_answer, stated
from services.verifier.replies import Judged


def before_judging(path: Path, question: Question) -> Verdict | None:
    """The verdict if it needs no judge call; otherwise None."""
    if path.failure is not None:
        return Verdict(outcome="unjudged", reason=path.failure[:4_000], by="failure")
    if not path.text.strip():
        return Verdict(outcome="unjudged", reason="The reply has no text.", by="empty")
    if path.finish_reason == "other":
        return Verdict(outcome="unjudged", reason="The text was interrupted before its end.", by="failure")
    answer = final_answer(path.text, question.options)
    if path.finish_reason == "length":
        reason = "The text was cut off before its end."
        return Verdict(outcome="error", reason=reason, by="cut_off", stated=answer.option)
    if path.origin != "generated" and mentions_given_answer(path.text):
        reason = "The text mentions an answer given to it."
        return Verdict(outcome="error", reason=reason, by="leak", stated=answer.option)
    if answer.outside is not None:
        reason = f"The final answer, {answer.outside[:100]}, is none of the options."
        return Verdict(outcome="error", reason=reason, by="stated_answer")
    return None


def verdict(path: Path, question: Question, judged: Judged | None, why_not: str) -> Verdict:
    """The verdict from the judge's reply, if it could be parsed, and from the answer that the path states."""
    answer = stated(path.text, question)
    said = None if judged is None else judged.outcome
    if answer is not None and answer != question.answer:
        check = f"The text states {answer} as its final answer; the reference answer is {question.answer}."
        reason = f"{check} {judged.reason}" if judged is not None and judged.outcome == "error" else check
        steps = judged.steps if judged is not None and judged.outcome == "error" else None
        return Verdict(
            outcome="error", reason=reason[:4_000], by="stated_answer", judged=said, stated=answer, steps=steps
        )
    if judged is None:
        return Verdict(outcome="unjudged", reason=why_not[:4_000], by="failure", stated=answer)
    return Verdict(
        outcome=judged.outcome, reason=judged.reason, by="judge", judged=said, stated=answer, steps=judged.steps
    )

"""Builds replies by stage, from the author's texts and a judge that sometimes errs."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from services.contracts.base import CaseId
from services.contracts.case import FinishReason
from services.contracts.question import Question
from services.core.case.answers import stated
from services.llm.scripted import faults, texts
from services.llm.scripted.asks import CHARACTERS_A_TOKEN, Ask, Author, Said
from services.llm.scripted.seeded import fraction, text_digest

WRONG_VERDICTS = 0.05
"""The judge's error rate."""

_CRITERIA = ("clinical_accuracy", "logic", "factual_correctness", "completeness")
"""The evaluator's."""

_FIELDS: dict[str, tuple[str, ...]] = {
    "verify": ("verdict", "reason"),
    "score": ("score", "justification"),
    "evaluate": (*_CRITERIA, "justification"),
}
"""What a judge's reply holds where no schema says so."""


class Script:
    """The server's replies: a pure function of the request, the fault and the server's seed. The notes describe the
    actual text."""

    def __init__(self, questions: Mapping[CaseId, Question], author: Author, *, seed: int) -> None:
        self._questions = questions
        self._author = author
        self._seed = seed
        self._stages: dict[str, Callable[[Ask, str | None], Said]] = {
            "generate": self._path,
            "refine": self._path,
            "reason": self._path,
            "benchmark": self._path,
            "verify": self._judgement,
            "score": self._judgement,
            "summarize": self._summary,
            "evaluate": self._evaluation,
        }

    def reply(self, ask: Ask, fault: str | None = None) -> Said:
        """The reply to any request, with this kind of fault in it (see `faults.Kind`; others leave the text alone)."""
        return self._stages.get(ask.stage, self._chat)(ask, fault)

    def _path(self, ask: Ask, fault: str | None) -> Said:
        text, finish = _cut(self._author.write(ask), ask, fault)
        return Said(text, finish, {"stated": self._stated(ask, text), "gold": self._gold(ask)})

    def _judgement(self, ask: Ask, fault: str | None) -> Said:
        path = ask.path()
        digest = text_digest(path)
        errs = fraction(self._seed, "judge", ask.case_id, digest, ask.seed) < WRONG_VERDICTS
        correct = self._author.holds(ask, path) != errs
        score = 1 + int(5 * fraction(self._seed, "score", ask.case_id, digest)) if correct else 0
        said: dict[str, Any] = {
            "verdict": "Correct" if correct else "Error",
            "reason": f"Scripted verdict on path {digest}.",
            "score": score,
            "justification": f"Scripted score of path {digest}.",
            "errors": [] if correct else [_error(self._seed, ask, path)],
        }
        whole, clear = faults.judgement(fault, _in_form(said, ask))
        text, finish = _cut(whole, ask, fault)
        judged = {name: clear[name] for name in ("verdict", "score") if name in clear and _holds(text, name, clear)}
        notes = {"path": digest, "stated": self._stated(ask, path), "gold": self._gold(ask), **judged}
        return Said(text, finish, notes)

    def _evaluation(self, ask: Ask, fault: str | None) -> Said:
        """Ratings from 6 to 10 by text and criterion."""
        digest = text_digest(ask.path())
        said: dict[str, Any] = {
            name: 6 + int(5 * fraction(self._seed, "evaluate", name, ask.case_id, digest)) for name in _CRITERIA
        }
        whole, _ = faults.judgement(fault, _in_form({**said, "justification": f"Scripted ratings of {digest}."}, ask))
        return Said(*_cut(whole, ask, fault), {"path": digest})

    def _summary(self, ask: Ask, fault: str | None) -> Said:
        path = ask.path()
        letter = self._stated(ask, path)
        key = (self._seed, "summarize", ask.case_id, text_digest(path), ask.seed)
        summary = texts.summary(self._questions.get(ask.case_id), letter, key)
        return Said(*_cut(summary, ask, fault), {"path": text_digest(path)})

    def _chat(self, ask: Ask, fault: str | None) -> Said:
        key = (self._seed, "chat", ask.prompt, ask.seed)
        text = texts.chat(key) if ask.schema is None else orjson.dumps(_in_form({}, ask)).decode()
        return Said(*_cut(text, ask, fault))

    def _stated(self, ask: Ask, text: str) -> str | None:
        question = self._questions.get(ask.case_id)
        return None if question is None else stated(text, question)

    def _gold(self, ask: Ask) -> str | None:
        question = self._questions.get(ask.case_id)
        return None if question is None else question.answer


def _error(seed: int, ask: Ask, path: str) -> dict[str, Any]:
    """A seeded step of the path. A path whose steps are shown has one on each line."""
    step = 1 + int(len(path.splitlines()) * fraction(seed, "step", ask.case_id, path))
    return {"step": step, "kind": "wrong_inference", "severity": "serious", "reason": f"Scripted error in step {step}."}


def _cut(text: str, ask: Ask, fault: str | None) -> tuple[str, FinishReason]:
    """The text, and why it ends: beyond max_tokens it is cut off, or by a fault."""
    if fault == "cut":
        return text[: len(text) // 2], "length"
    if fault == "interrupted":
        return text[: len(text) // 2], "other"
    if fault == "no_text":
        return "", "stop"
    room = CHARACTERS_A_TOKEN * ask.max_tokens
    return (text, "stop") if len(text) <= room else (text[:room], "length")


def _holds(text: str, name: str, fields: Mapping[str, Any]) -> bool:
    """Whether a text that may have been cut off still has this field with its whole value."""
    return orjson.dumps({name: fields[name]}).decode()[1:-1] in text


def _in_form(said: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
    """The fields that the request's schema names, in its order; what the script has nothing for is made up by type."""
    if ask.schema is None:
        return {name: said[name] for name in _FIELDS[ask.stage]}
    return {name: said.get(name, _made_up(rule)) for name, rule in ask.schema.get("properties", {}).items()}


def _made_up(rule: Mapping[str, Any]) -> Any:
    if "enum" in rule:
        return rule["enum"][0]
    least = rule.get("minimum", 0)
    made_up: dict[str, Any] = {"integer": least, "number": least, "boolean": False, "array": [], "object": {}}
    return made_up.get(rule.get("type", "string"), "scripted")

"""Cases as the stream's messages tell them: each message, when it was written, in the order of its way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from services.contracts.base import Message, RecipeId
from services.contracts.case import Call, Case, Origin, Path, Score, Stage, Steps, Usage, Verdict
from services.contracts.dead import DeadLetter
from services.contracts.question import Question, Submission
from services.contracts.record import Record
from services.contracts.refused import Match, Refused
from services.core import ids
from tests.browser import texts

RECIPE = RecipeId(ids.digest("recipe", "browser tests"))
PLAN = [(alias, heat) for alias in ("qwen", "deepseek", "huatuo") for heat in (0.7, 0.9, 1.0)]


@dataclass(frozen=True)
class Said:
    """A message in a topic, some seconds after the first of its case."""

    topic: str
    message: Message
    after_s: float
    letter: DeadLetter | None = None
    """Of a dead letter: why."""


def question(stem: str, options: dict[str, str], answer: str, subject: str, source: str = "medqa") -> Question:
    """A question."""
    return Question(question=stem, options=options, answer=answer, subject=subject, source=source)


def case_of(asked: Question) -> Case:
    """A case with no paths yet."""
    case_id = ids.case_id(asked)
    return Case(case_id=case_id, work_id=ids.work_id(case_id, RECIPE), recipe_id=RECIPE, question=asked)


def path(case: Case, slot: int, text: str, *, round: int = 0, parents: Sequence[Path] = ()) -> Path:
    """A path with no verdict yet."""
    origin: Origin = "generated" if round == 0 else "refined" if len(parents) == 1 else "regenerated"
    alias, heat = PLAN[slot] if round == 0 else ("deepseek" if origin == "regenerated" else "qwen", 0.8)
    path_id = ids.path_id(case.work_id, origin, round, slot)
    stage: Stage = "generate" if round == 0 else "refine" if origin == "refined" else "reason"
    return Path(
        path_id=path_id,
        origin=origin,
        round=round,
        slot=slot,
        alias=alias,
        temperature=heat,
        parents=tuple(parent.path_id for parent in parents),
        text=text,
        finish_reason="length" if text == texts.CUT_OFF else "stop",
        calls=(call(stage, alias, path_id, 310, len(text) // 4),),
    )


def call(stage: Stage, alias: str, name: str, read: int, wrote: int) -> Call:
    """A paid call."""
    usage = Usage(prompt=read, completion=wrote, cached=read // 2)
    return Call(call_id=ids.digest("call", name, stage), stage=stage, alias=alias, usage=usage)


def correct(path: Path, reason: str, score: int | None, justification: str) -> Path:
    """It holds."""
    stated = path.text[-1] if "Final answer: " in path.text else None
    verdict = Verdict(outcome="correct", reason=reason, by="judge", judged="correct", stated=stated)
    judged = call("verify", "qwen", path.path_id, 900, 60), call("score", "qwen", path.path_id, 920, 40)
    given = Score(value=score, justification=justification)
    return path.with_(verdict=verdict, score=given, calls=(*path.calls, *judged))


def wrong(
    path: Path,
    reason: str,
    by: Literal["judge", "stated_answer", "cut_off"] = "judge",
    judged: Literal["correct", "error"] | None = "error",
    steps: Steps | None = None,
) -> Path:
    """It doesn't."""
    stated = path.text[-1] if "Final answer: " in path.text else None
    return path.with_(
        verdict=Verdict(outcome="error", reason=reason, by=by, judged=judged, stated=stated, steps=steps),
        calls=(*path.calls, call("verify", "qwen", path.path_id, 900, 60)) if judged else path.calls,
    )


def begun(case: Case) -> list[Said]:
    """Handed in and admitted."""
    return [
        Said("question-submitted", Submission(case_id=case.case_id, question=case.question), 0),
        Said("question-admitted", case, 0.4),
    ]


def unverified(paths: Iterable[Path]) -> tuple[Path, ...]:
    """As they were before the verifier saw them."""
    return tuple(each.with_(verdict=None, score=None, calls=each.calls[:1]) for each in paths)


def record(case: Case, index: int, summary: str) -> Record:
    """What one kept path becomes."""
    kept = case.path(case.kept[index])
    return Record(
        record_id=ids.record_id(case.work_id, kept.path_id),
        **case.model_dump(include={"work_id", "case_id", "recipe_id", "life", "question", "gold_disputed"}),
        index=index,
        of=len(case.kept),
        difficulty=case.difficulty or "easy",
        **kept.model_dump(include={"path_id", "origin", "parents", "alias", "temperature", "verdict", "score"}),
        model=f"example/{kept.alias}-72b@main",
        chain=kept.text,
        summary=summary,
        calls=(*kept.calls, call("summarize", "qwen", kept.path_id, 480, 70)),
        usage={
            "generate": Usage(prompt=2790, completion=1004),
            "verify": Usage(prompt=9000, completion=600),
            "score": Usage(prompt=5520, completion=240),
            "refine": Usage(prompt=2100, completion=260),
            "summarize": Usage(prompt=480, completion=70),
        },
        cost={"generate": 0.00104, "verify": 0.00281, "score": 0.0016, "refine": 0.00047, "summarize": 0.00021},
    )


def refused() -> list[Said]:
    """A question too like an earlier one."""
    stem = texts.HYPERKALAEMIA.replace("58-year-old", "59-year-old")
    case = case_of(question(stem, texts.HYPERKALAEMIA_OPTIONS, "B", "Nephrology", "medmcqa"))
    earlier = Match(
        where=case_of(question(texts.HYPERKALAEMIA, texts.HYPERKALAEMIA_OPTIONS, "B", "Nephrology")).case_id,
        id="medqa:1042",
        text=texts.HYPERKALAEMIA[:200],
        similarity=0.93,
    )
    refusal = Refused(case_id=case.case_id, question=case.question, reason="near_duplicate", match=earlier)
    return [*begun(case)[:1], Said("question-refused", refusal, 0.2)]

"""A golden example of each message, all of one question, with ids computed as in production.

The question is medium: two of three planned paths are correct, both are rewritten, and one rewritten path replaces its
parent.
"""

from services.contracts.base import Value
from services.contracts.case import Call, Case, Origin, Path, Score, Stage, StepError, Steps, Usage, Verdict
from services.contracts.dead import DeadLetter
from services.contracts.question import Question, Submission
from services.contracts.recipe import Generation, Model, Recipe, Routing, Sampling, Slot, Task
from services.contracts.record import FaultyPath, Record
from services.contracts.redriven import Redriven
from services.contracts.refused import Match, Refused
from services.core import ids
from services.core.case import prompts
from services.core.case.paths import from_answers
from services.core.case.steps import numbered, step_ends
from services.core.ledger.calls import Answer, Reply, Request

QUESTION = Question(
    question="A 24-year-old woman has had palpitations and has lost 5 kg in three months. Her pulse is 112/min, her "
    "hands tremble, and both eyes protrude. TSH is below 0.01 mU/L. Which antibody is most likely to be found?",
    options={
        "A": "Antibodies against thyroid peroxidase only",
        "B": "Antibodies that stimulate the TSH receptor",
        "C": "Antibodies against the acetylcholine receptor",
        "D": "Antibodies against 21-hydroxylase",
    },
    answer="B",
    source="example",
    id="example:1",
    subject="endocrinology",
)

_QWEN = Model(served="Qwen/Qwen2.5-72B-Instruct", revision="495f393", price_in=0.4, price_out=0.4)
_DEEPSEEK = Model(served="deepseek-ai/DeepSeek-R1-Distill-Llama-70B", revision="b1c0b44", price_in=0.7, price_out=0.9)


def _task(alias: str, prompt: str, temperature: float, max_tokens: int) -> Task:
    return Task(
        alias=alias, prompt=prompt, sampling=Sampling(temperature=temperature, top_p=0.95, max_tokens=max_tokens)
    )


RECIPE = Recipe(
    name="example",
    models={"qwen": _QWEN, "deepseek": _DEEPSEEK},
    generate=Generation(
        prompt="Reason step by step.\n\n{question}\n\nEnd with `Final answer: X`.",
        plan=(
            Slot(alias="qwen", temperature=0.7),
            Slot(alias="qwen", temperature=1.0),
            Slot(alias="deepseek", temperature=0.7),
        ),
    ),
    verify=_task("qwen", "Judge each step.\n\n{question}\n\nReference answer: {gold}\n\n{steps}", 1.0, 10_000),
    verdict="steps",
    score=_task("qwen", "Score this, 0 to 5.\n\n{question}\n\nReference answer: {gold}\n\n{path}", 0.7, 10_000),
    refine=_task(
        "qwen", "Write it anew.\n\n{question}\n\n{gold}\n\n{path}\n\n{own_reason}\n\n{other_reasons}", 0.8, 15_000
    ),
    reason=_task("deepseek", "Reason afresh.\n\n{question}\n\n{gold}\n\n{reasons}", 0.8, 20_000),
    summarize=_task("qwen", "Condense this.\n\n{question}\n\n{path}", 0.5, 1_000),
    routing=Routing(easy=3, medium=1),
)

RECIPE_ID = ids.recipe_id(RECIPE)
CASE_ID = ids.case_id(QUESTION)
_ADMITTED = Case(case_id=CASE_ID, work_id=ids.work_id(CASE_ID, RECIPE_ID), recipe_id=RECIPE_ID, question=QUESTION)

_SUMMARY = (
    "The answer is B. Weight loss, tachycardia, tremor and a suppressed TSH show thyrotoxicosis, and protruding eyes "
    "point to Graves' disease, which antibodies that stimulate the TSH receptor cause. Antibodies against thyroid "
    "peroxidase are found in it too, but explain neither the overactive gland nor the eyes."
)


def examples() -> dict[str, Value]:
    """One example per message name (contracts.schemas.MESSAGES)."""
    case = _case()
    refined = case.path(case.kept[0])
    assert refined.verdict is not None
    assert refined.score is not None
    return {
        "question": QUESTION,
        "submission": Submission(case_id=CASE_ID, question=QUESTION),
        "case": case,
        "path": refined,
        "verdict": refined.verdict,
        "score": refined.score,
        "record": _record(case, refined, refined.verdict, refined.score),
        "recipe": RECIPE,
        "dead_letter": DeadLetter(
            service="router",
            kind="too_many_unknown",
            error="3 of 3 paths are unknown, 2 may be: see their failures and reasons; mend the model or the judge, "
            "then redrive",
            attempts=1,
            topic="paths-verified",
            partition=7,
            offset=4_211,
        ),
        "redriven": Redriven(
            what=case.work_id, life=1, topic="paths-verified", partition=7, offset=4_211, to="question-admitted"
        ),
        "refused": Refused(
            case_id=CASE_ID,
            question=QUESTION,
            reason="evaluation_set",
            match=Match(where="exam_test.jsonl", id="0017", text=QUESTION.question[:120], similarity=1.0),
        ),
    }


def _case() -> Case:
    """The accepted case: every path has a verdict, and every correct path a score."""
    first = _correct(
        _generated(0, "Thyrotoxicosis with protruding eyes is Graves' disease.\n\nFinal answer: B"),
        "The eyes and the suppressed TSH settle it; option A is hardly weighed.",
        Score(value=3, justification="Sound, but the closest alternative is dismissed without a reason."),
    )
    second = _correct(
        _generated(1, "TSH is suppressed, so the gland works by itself: B.\n\nFinal answer: B"),
        "A suppressed TSH together with the eyes points to Graves' disease.",
        Score(value=2, justification="Right, but most of the findings go unused."),
    )
    third = _wrong(_generated(2, "Antibodies against thyroid peroxidase are the most frequent.\n\nFinal answer: A"))
    better = _correct(
        _refined(
            0, first, "Graves' disease: the eyes tell it from other causes; A explains neither.\n\nFinal answer: B"
        ),
        "The eyes settle it, and every option is ruled out for a reason of its own.",
        Score(value=5, justification="Uses every finding and separates the closest alternatives."),
    )
    no_better = _correct(
        _refined(1, second, "A suppressed TSH means Graves' disease.\n\nFinal answer: B"),
        "It reaches the answer, though other causes of a suppressed TSH go unmentioned.",
        Score(value=1, justification="Right, but hardly argued."),
    )
    return _ADMITTED.with_(
        paths=(first, second, third, better, no_better),
        difficulty="medium",
        rounds=1,
        kept=(better.path_id, second.path_id),
    )


def _generated(slot: int, text: str) -> Path:
    plan = RECIPE.generate
    request = Request(
        case_id=CASE_ID,
        stage="generate",
        alias=plan.plan[slot].alias,
        model=RECIPE.models[plan.plan[slot].alias],
        prompt=prompts.render(plan.prompt, question=prompts.question_block(QUESTION)),
        sampling=Sampling(temperature=plan.plan[slot].temperature, top_p=plan.top_p, max_tokens=plan.max_tokens),
        seed=ids.seed(CASE_ID, "generate", "generated", 0, slot),
    )
    return _answered(request, text, "generated", 0, slot)


def _refined(slot: int, parent: Path, text: str) -> Path:
    request = _request(RECIPE.refine, "refine", ids.seed(CASE_ID, "refine", "refined", 1, slot), parent.text)
    return _answered(request, text, "refined", 1, slot).with_(parents=(parent.path_id,))


def _answered(request: Request, text: str, origin: Origin, round: int, slot: int) -> Path:
    usage = Usage(prompt=240, completion=30 + len(text) // 4, cached=128)
    return from_answers(_ADMITTED, [Answer(request, Reply(text, "stop", usage))], origin=origin, round=round, slot=slot)


def _correct(path: Path, reason: str, score: Score) -> Path:
    steps = Steps(ends=step_ends(path.text))
    verdict = Verdict(outcome="correct", reason=reason, by="judge", judged="correct", stated="B", steps=steps)
    calls = (*path.calls, _call(path, RECIPE.verify, "verify"), _call(path, RECIPE.score, "score"))
    return path.with_(verdict=verdict, score=score, calls=calls)


def _wrong(path: Path) -> Path:
    error = StepError(
        step=2,
        kind="wrong_inference",
        severity="serious",
        reason="That they are frequent does not make them the cause of the eye signs.",
    )
    verdict = Verdict(
        outcome="error",
        reason="The text states A as its final answer; the reference answer is B.",
        by="stated_answer",
        judged="error",
        stated="A",
        steps=Steps(ends=step_ends(path.text), errors=(error,)),
    )
    return path.with_(verdict=verdict, calls=(*path.calls, _call(path, RECIPE.verify, "verify")))


def _record(case: Case, path: Path, verdict: Verdict, score: Score) -> Record:
    """The first of the case's two records. Usage is the whole case's, cost this record's share."""
    summary = _call(path, RECIPE.summarize, "summarize")
    parent = case.path(path.parents[0])
    shared = [call for each in case.paths for call in each.calls]
    usage: dict[Stage, Usage] = {}
    cost: dict[Stage, float] = {}
    for call in [*shared, summary]:
        usage[call.stage] = usage.get(call.stage, Usage()) + call.usage
        share = 1 if call is summary else len(case.kept)
        cost[call.stage] = round(cost.get(call.stage, 0.0) + _price(call) / share, 9)
    return Record(
        record_id=ids.record_id(case.work_id, path.path_id),
        work_id=case.work_id,
        case_id=case.case_id,
        recipe_id=case.recipe_id,
        life=case.life,
        index=0,
        of=len(case.kept),
        question=case.question,
        difficulty="medium",
        gold_disputed=case.gold_disputed,
        path_id=path.path_id,
        origin=path.origin,
        parents=path.parents,
        alias=path.alias,
        model=f"{_QWEN.served}@{_QWEN.revision}",
        temperature=path.temperature,
        chain=path.text,
        summary=_SUMMARY,
        verdict=verdict,
        score=score,
        in_error=tuple(_faulty(each) for each in case.paths if each.standing == "error"),
        calls=(*parent.calls, *path.calls, summary),
        usage=usage,
        cost=cost,
    )


def _faulty(path: Path) -> FaultyPath:
    assert path.verdict is not None
    assert path.verdict.steps is not None
    model = RECIPE.models[path.alias]
    return FaultyPath(
        path_id=path.path_id,
        origin=path.origin,
        alias=path.alias,
        model=f"{model.served}@{model.revision}",
        temperature=path.temperature,
        text=path.text,
        reason=path.verdict.reason,
        steps=path.verdict.steps,
    )


def _call(path: Path, task: Task | None, stage: Stage) -> Call:
    assert task is not None
    seed = ids.seed(CASE_ID, stage, path.origin, path.round, path.slot)
    usage = Usage(prompt=380, completion=45, cached=320)
    return Answer(_request(task, stage, seed, path.text), Reply("", "stop", usage)).call


def _request(task: Task, stage: Stage, seed: int, text: str) -> Request:
    values = {"path": text, "steps": numbered(text, step_ends(text))}
    prompt = prompts.render(
        task.prompt, question=prompts.question_block(QUESTION), gold=prompts.gold(QUESTION), **values
    )
    model = RECIPE.models[task.alias]
    return Request(
        case_id=CASE_ID, stage=stage, alias=task.alias, model=model, prompt=prompt, sampling=task.sampling, seed=seed
    )


def _price(call: Call) -> float:
    model = RECIPE.models[call.alias]
    return (call.usage.prompt * model.price_in + call.usage.completion * model.price_out) / 1_000_000

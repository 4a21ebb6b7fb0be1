"""Generated questions, recipes and cases, for properties."""

from typing import Any

from hypothesis import strategies as st

from services.contracts.case import Call, Case, Origin, Path, Score, Usage, Verdict
from services.contracts.question import LETTERS, Question
from services.contracts.recipe import Generation, Model, Recipe, Routing, Sampling, Slot, Task
from services.core import ids

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=8
)
"""Any JSON value that a message may hold: integers of 64 bits, finite doubles, valid Unicode."""


@st.composite
def questions(draw: st.DrawFn) -> Question:
    letters = LETTERS[: draw(st.integers(2, len(LETTERS)))]
    options = {letter: draw(texts) for letter in letters}
    return Question(
        question=draw(texts),
        options=options,
        answer=draw(st.sampled_from(letters)),
        context=tuple(draw(st.lists(texts, max_size=2))),
        source=draw(st.none() | texts),
        id=draw(st.none() | texts),
        subject=draw(st.none() | texts),
    )


def recipe(routing: Routing | None = None, *, plan: int = 9, **changes: Any) -> Recipe:
    """A recipe of three models at three temperatures, whose prompts show just what they are given."""
    routing = routing or Routing()

    def task(alias: str, prompt: str, temperature: float) -> Task:
        return Task(alias=alias, prompt=prompt, sampling=Sampling(temperature=temperature, max_tokens=1_000))

    aliases = ["one", "two", "three"]
    fields: dict[str, Any] = {
        "name": "test",
        "models": {
            alias: Model(served=f"org/{alias}", revision="r1", price_in=price, price_out=2 * price)
            for alias, price in [("one", 0.4), ("two", 0.7), ("three", 1.1), ("strong", 3.0)]
        },
        "generate": Generation(
            prompt="generate\n{question}",
            plan=tuple(Slot(alias=aliases[n % 3], temperature=0.5 + n / 20) for n in range(plan)),
        ),
        "verify": task("one", "verify\n{question}\ngold: {gold}\n<path>{path}</path>", 1.0),
        "score": task("one", "score\n{question}\ngold: {gold}\n<path>{path}</path>", 0.7),
        "refine": task(
            "two",
            "refine\n{question}\ngold: {gold}\n<path>{path}</path>\nown: {own_reason}\nothers: {other_reasons}",
            0.8,
        ),
        "reason": task("strong", "reason\n{question}\ngold: {gold}\nreasons: {reasons}", 0.9),
        "summarize": task("three", "summarize\n{question}\n<path>{path}</path>", 0.5),
        "routing": routing,
    }
    return Recipe(**{**fields, **changes})


QUESTION = Question(
    question="Which vitamin is missing in scurvy?",
    options={"A": "Vitamin A", "B": "Vitamin B12", "C": "Vitamin C", "D": "Vitamin D"},
    answer="C",
)


def case(question: Question = QUESTION, of: Recipe | None = None, **changes: Any) -> Case:
    """A case as admission makes it."""
    recipe_id = ids.recipe_id(of or recipe())
    case_id = ids.case_id(question)
    return Case(
        case_id=case_id, work_id=ids.work_id(case_id, recipe_id), recipe_id=recipe_id, question=question, **changes
    )


def path(case: Case, slot: int, *, origin: Origin = "generated", round: int = 0, **changes: Any) -> Path:
    """An unverified path of this place."""
    fields: dict[str, Any] = {
        "path_id": ids.path_id(case.work_id, origin, round, slot),
        "origin": origin,
        "round": round,
        "slot": slot,
        "alias": "one",
        "temperature": 0.7,
        "text": f"Path {slot} of round {round}.",
        "finish_reason": "stop",
    }
    return Path(**{**fields, **changes})


def correct(made: Path, score: int | None = 3, stated: str | None = "C") -> Path:
    return made.with_(
        verdict=Verdict(outcome="correct", reason="Sound.", by="judge", judged="correct", stated=stated),
        score=Score(value=score),
    )


def wrong(made: Path, stated: str | None = None) -> Path:
    return made.with_(
        verdict=Verdict(
            outcome="error", reason=f"Wrong in slot {made.slot}.", by="judge", judged="error", stated=stated
        )
    )


def unjudged(made: Path) -> Path:
    return made.with_(verdict=Verdict(outcome="unjudged", reason="no reply could be read in 3 asks", by="failure"))


def failed(made: Path) -> Path:
    return made.with_(
        text="",
        finish_reason=None,
        failure="timed out",
        verdict=Verdict(outcome="unjudged", reason="timed out", by="failure"),
    )


_NEW = case()
_NINE = [path(_NEW, slot) for slot in range(9)]

few_texts = st.sampled_from(["alpha", "beta", "gamma", " alpha\n", "delta", "epsilon"])
"""Few, so that paths often say the same; one of them differs from another in blanks alone."""
scores = st.none() | st.integers(0, 5)
letters = st.none() | st.sampled_from("ABCD")


@st.composite
def verified(draw: st.DrawFn, made: Path) -> Path:
    """The path with some verdict, as the verifier gives it."""
    made = made.with_(text=draw(few_texts))
    kind = draw(st.sampled_from(["correct", "correct", "wrong", "unjudged", "failed"]))
    match kind:
        case "correct":
            return correct(made, draw(scores), draw(st.sampled_from([None, "C"])))
        case "wrong":
            return wrong(made, draw(letters))
        case "unjudged":
            return unjudged(made)
        case _:
            return failed(made)


@st.composite
def routings(draw: st.DrawFn) -> Routing:
    medium = draw(st.integers(1, 5))
    return Routing(
        medium=medium,
        easy=draw(st.integers(medium, 9)),
        keep=draw(st.integers(1, 4)),
        strong_paths=draw(st.integers(1, 3)),
        rounds=draw(st.integers(1, 3)),
        max_unknown=draw(st.integers(0, 9)),
    )


@st.composite
def first_verified(draw: st.DrawFn) -> Case:
    """A case as it comes to the router for the first time: nine verified paths of the plan, in any order."""
    paths = [draw(verified(made)) for made in _NINE]
    return _NEW.with_(paths=tuple(draw(st.permutations(paths))))


@st.composite
def calls(draw: st.DrawFn) -> Call:
    usage = Usage(prompt=draw(st.integers(0, 9_000)), completion=draw(st.integers(0, 9_000)))
    return Call(
        call_id=ids.digest("call", draw(st.integers(0, 10**9))),
        stage=draw(st.sampled_from(["generate", "verify", "score", "refine", "reason"])),
        alias=draw(st.sampled_from(["one", "two", "three", "strong"])),
        usage=usage,
    )

"""The ids of 1.x for fixed inputs. Topics, ledgers and datasets hold them: a change makes old and new ids differ."""

from services.contracts.question import Question
from services.contracts.recipe import Generation, Model, Recipe, Sampling, Slot, Task
from services.core import ids
from services.core.ledger.calls import Request

BARE = Question(
    question="Which vitamin is missing in scurvy?", options={"A": "Vitamin C", "B": "Vitamin D"}, answer="A"
)
FULL = Question(
    question="Is  naïve\nT-cell count raised in Sjögren's?",
    options={"A": "yes", "B": "no", "C": "maybe"},
    answer="C",
    context=("A first passage.", "β-lactam ☤"),
    source="pubmedqa",
    id="17",
    subject="immunology",
)


def _task(alias: str, prompt: str) -> Task:
    return Task(alias=alias, prompt=prompt, sampling=Sampling(temperature=0.2, top_p=0.95, max_tokens=512))


BARE_RECIPE = Recipe(
    name="bare",
    models={"one": Model(served="org/one")},
    generate=Generation(prompt="{question}", plan=tuple(Slot(alias="one", temperature=0.7) for _ in range(5))),
    verify=_task("one", "verify {question} {path}"),
    refine=_task("one", "refine {question}"),
    reason=_task("one", "reason {question}"),
    summarize=_task("one", "summarize {path}"),
)
FULL_RECIPE = BARE_RECIPE.with_(
    name="full",
    models={"one": Model(served="org/one", revision="r1", context_tokens=4096, price_in=0.4, price_out=0.9)},
    score=_task("one", "score {path}"),
    max_asks=2,
)


def _request(**changes: object) -> Request:
    values: dict[str, object] = {
        "case_id": ids.case_id(BARE),
        "stage": "generate",
        "alias": "one",
        "model": BARE_RECIPE.models["one"],
        "prompt": "Why?",
        "sampling": Sampling(temperature=0.7, top_p=0.9, max_tokens=100),
        "seed": 7,
    }
    return Request(**{**values, **changes})  # type: ignore[arg-type]


def found() -> dict[str, str | int]:
    """Each id, by what it is of."""
    case, recipe = ids.case_id(BARE), ids.recipe_id(BARE_RECIPE)
    work = ids.work_id(case, recipe)
    path = ids.path_id(work, "generated", 0, 3)
    schema = {"title": "verdict", "type": "object", "properties": {"reason": {"type": "string"}}}
    return {
        "case": case,
        "case with context": ids.case_id(FULL),
        "recipe": recipe,
        "recipe with score and prices": ids.recipe_id(FULL_RECIPE),
        "recipe with a newer field": ids.recipe_id(Recipe.model_validate({**BARE_RECIPE.model_dump(), "newer": [1]})),
        "work": work,
        "path": path,
        "refined path": ids.path_id(work, "refined", 1, 0),
        "record": ids.record_id(work, path),
        "seed": ids.seed(case, "verify", "generated", 0, 3),
        "call": _request().call_id,
        "call of another case": _request(case_id=ids.case_id(FULL)).call_id,
        "call with schema": _request(schema=schema, stage="verify").call_id,
        "call asked again in a second life": _request(ask=(1, 2)).call_id,
        "call of a revision": _request(model=FULL_RECIPE.models["one"]).call_id,
    }


GOLDEN: dict[str, str | int] = {
    "case": "case-c0483c4d8bd73e85b92ae5051bd63ce1",
    "case with context": "case-f81e3ee87676e1731af63db5d2f97f9d",
    "recipe": "recipe-4855262370a5a3d47506fd05320c4418",
    "recipe with score and prices": "recipe-9a870140bb19da57726307a793aa3331",
    "recipe with a newer field": "recipe-14eb2c0a70227068aa2de4c88dcc5d1f",
    "work": "work-80f808a0d91089d620025ca00ffd5119",
    "path": "path-5eeb90311f685ee6b30591f88cd5f88f",
    "refined path": "path-6e77fe3a62b829525b5c8472856ca519",
    "record": "record-351218b7ffdfa20c81b45101d4a7a50d",
    "seed": 1204756743,
    "call": "call-8afc72341402a6480de408e5d723ae64",
    "call of another case": "call-8afc72341402a6480de408e5d723ae64",
    "call with schema": "call-b726aa8545adbff682324695c4bdcf1b",
    "call asked again in a second life": "call-9609c31f7259249b2740599400d9b85a",
    "call of a revision": "call-e84e252341ed1f014882c2f6af9cf59d",
}
"""Computed with commit ed1358c."""


def test_ids_are_those_of_1_0() -> None:
    assert found() == GOLDEN

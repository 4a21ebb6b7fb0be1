"""The calls of 1.x for a recipe that asks for nothing new: a change would pay for finished calls again."""

import hashlib
import json

from services.contracts.case import Usage
from services.contracts.codec import canonical
from services.contracts.recipe import Recipe
from services.core.ledger.calls import Outcome, Reply, Request
from services.llm.fake import ScriptedModels
from services.refiner.handler import reason_again, refine
from services.verifier.handler import verify
from tests.strategies import case, correct, path, recipe, wrong

TEXT = "## 1. The question\nCitrus cures it. Vitamin B12 does not.\n\nFinal answer: C"


def judge(request: Request) -> Outcome:
    said = {"verdict": "Correct", "reason": "So.", "score": 4, "justification": "So."}
    named = (request.schema or {"required": []})["required"]
    text = json.dumps({name: said[name] for name in named}) if named else TEXT
    return Reply(text, "stop", Usage())


async def calls(of: Recipe) -> str:
    """A digest of each request's id, bytes and schema, over judging, rewriting and solving again."""
    whole = case(of=of)
    models = ScriptedModels(judge)
    await verify(whole.with_(paths=(path(whole, 0, text=TEXT),)), of, models)
    paths = (correct(path(whole, 0)), correct(path(whole, 1)), wrong(path(whole, 2)))
    await refine(whole.with_(paths=paths), of, models)
    await reason_again(whole.with_(paths=paths), of, models)
    sent = [[asked.call_id, asked.messages, asked.schema] for asked in models.asked]
    return hashlib.sha256(canonical(sent)).hexdigest()[:16]


async def test_the_calls_of_a_recipe_that_asks_for_nothing_new() -> None:
    assert await calls(recipe()) == "71b21df3efda7995"
    assert await calls(recipe(score=None)) == "d6331686a832d689"

"""Scripts of the scripted server, and prompts as the stages write them."""

from pathlib import Path
from typing import Any

from services.contracts.base import CaseId
from services.core import ids
from services.core.case import prompts
from services.llm.scripted import known
from services.llm.scripted.asks import Ask
from services.llm.scripted.script import Script
from services.llm.scripted.scripted_author import ScriptedAuthor

ROOT = Path(__file__).parents[2]


DATA = ROOT.parent / "shared" / "data"


VERIFY = (ROOT / "services/verifier/prompts/verify_and_score.md").read_text()


REFINE = (ROOT / "services/refiner/prompts/refine.md").read_text()


QUESTIONS = known.questions(known.SAMPLES)


VERDICT: dict[str, Any] = {
    "title": "verdict",
    "type": "object",
    "properties": {"verdict": {"type": "string", "enum": ["Correct", "Error"]}, "reason": {"type": "string"}},
    "required": ["verdict", "reason"],
}


BOTH = {
    **VERDICT,
    "properties": {**VERDICT["properties"], "score": {"type": "integer"}, "justification": {"type": "string"}},
}


def script(seed: int = 1, **author) -> Script:
    return Script(QUESTIONS, ScriptedAuthor(QUESTIONS, seed=seed, **author), seed=seed)


def ask(stage: str, case_id: CaseId, *, round: int = 0, slot: int = 0, prompt: str = "p", schema=None) -> Ask:
    return Ask(stage, case_id, prompt, ids.seed(case_id, stage, "any", round, slot), 8_192, schema)


def verify_prompt(question, path: str) -> str:
    return prompts.render(VERIFY, question=prompts.question_block(question), gold=prompts.gold(question), path=path)

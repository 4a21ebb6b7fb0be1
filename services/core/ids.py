"""Ids: a kind, a dash, and the first 128 bits of a SHA-256 in hex. Same content, same id, on every machine."""

import hashlib
import unicodedata
from typing import Any

from services.contracts.base import CaseId, PathId, RecipeId, RecordId, Value, WorkId
from services.contracts.case import Origin
from services.contracts.codec import canonical
from services.contracts.question import Question
from services.contracts.recipe import Recipe


def digest(kind: str, *parts: Any) -> str:
    """`kind-` and 32 hex digits over the canonical JSON of the parts."""
    return f"{kind}-{hashlib.sha256(canonical([kind, *parts])).hexdigest()[:32]}"


def case_id(question: Question) -> CaseId:
    """Digest of the normalised question: stem, options, gold and context; source, id and subject are not part of it."""
    options = [[letter, _normal(text)] for letter, text in question.options.items()]
    context = [_normal(passage) for passage in question.context]
    return CaseId(digest("case", _normal(question.question), options, question.answer, context))


def work_id(case_id: CaseId, recipe_id: RecipeId) -> WorkId:
    """The id of a case under a recipe."""
    return WorkId(digest("work", case_id, recipe_id))


def path_id(work_id: WorkId, origin: Origin, round: int, slot: int) -> PathId:
    """The id of a path, from its position in the case."""
    return PathId(digest("path", work_id, origin, round, slot))


def record_id(work_id: WorkId, path_id: PathId) -> RecordId:
    """A kept path."""
    return RecordId(digest("record", work_id, path_id))


def recipe_id(recipe: Recipe) -> RecipeId:
    """Digest of the whole recipe, unknown fields included."""
    return RecipeId(digest("recipe", _plain(recipe)))


def seed(case_id: CaseId, stage: str, origin: str, round: int, slot: int) -> int:
    """The sampling seed of a call: 31 bits, the most that some servers accept."""
    hexed = digest("seed", case_id, stage, origin, round, slot).removeprefix("seed-")
    return int(hexed[:8], 16) & 0x7FFF_FFFF


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _plain(value: Value) -> Any:
    return value.model_dump(mode="json")

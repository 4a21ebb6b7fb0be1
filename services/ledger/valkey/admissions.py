"""Admissions in Valkey."""

import math
from collections.abc import Iterator

from services.contracts.base import CaseId, RecipeId
from services.contracts.codec import canonical
from services.core.dedupe.minhash import BYTES, OPTIONS, OPTIONS_ALIKE, WHOLE, Candidate
from services.core.ledger.ports import Admission, Refusal
from services.core.messages import Position
from services.ledger.encoding.refusals import decode, encode
from services.ledger.valkey.scripts import Scripts


class ValkeyAdmissions:
    """The port Admissions."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def admit(
        self,
        case_id: CaseId,
        *,
        named: RecipeId | None,
        current: RecipeId,
        life: int,
        position: Position,
        refusal: Refusal | None = None,
        candidate: Candidate | None = None,
    ) -> Admission:
        submission = canonical([case_id, named or "", life])
        here = canonical([position.topic, position.partition, position.offset])
        refused = b"" if refusal is None else encode(refusal)
        compared = () if candidate is None else _candidate(case_id, candidate, redrive=life > 0)
        answer = await self._scripts.run("admit", submission, here, named or current, refused, *compared)
        verdict, recipe_id, kept = answer
        return Admission(verdict.decode(), recipe_id.decode(), decode(kept) if kept else None)


def _candidate(case_id: CaseId, candidate: Candidate, *, redrive: bool) -> Iterator[str | bytes | int]:
    """The script's arguments from the fifth on. The script counts equal numbers, so a threshold is a count; a redrive
    gets one that nothing reaches."""
    yield case_id
    yield BYTES
    yield WHOLE
    yield WHOLE + 1 if redrive else math.ceil(candidate.threshold * WHOLE)
    yield math.ceil(OPTIONS_ALIKE * OPTIONS)
    yield candidate.sketch.signature
    yield canonical({"id": candidate.id, "text": candidate.text})
    yield from candidate.sketch.bands

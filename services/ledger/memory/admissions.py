"""Admissions in memory, and the questions that later ones are compared with."""

from collections import defaultdict

from services.contracts.base import CaseId, RecipeId
from services.core.dedupe.minhash import Candidate, Known, closest
from services.core.ledger.ports import Admission, Refusal
from services.core.messages import Position
from services.ledger.memory.server import MemoryServer

_Submission = tuple[CaseId, str, int]
"""Case id, named recipe or "", life."""


class MemoryAdmissions:
    """The port Admissions."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._first: dict[_Submission, tuple[Position, RecipeId, float]] = {}
        self._duplicates: dict[tuple[_Submission, Position], float] = {}
        self._refusals: dict[_Submission, Refusal] = {}
        self._known: dict[str, tuple[Known, float]] = {}
        self._bands: defaultdict[int, set[str]] = defaultdict(set)

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
        now = self._server.now()
        submission = (case_id, named or "", life)
        if first := self._first.get(submission):
            if first[0] == position:
                return Admission("same", first[1], self._refusals.get(submission))
            self._duplicates.setdefault((submission, position), now)
            return Admission("duplicate", first[1])
        if refusal is None and candidate is not None:
            refusal = self._compare(case_id, candidate, now, redrive=life > 0)
        self._first[submission] = (position, named or current, now)
        self._duplicates.pop((submission, position), None)  # its own first was pruned
        self._refusals.pop(submission, None)
        if refusal is not None:
            self._refusals[submission] = refusal
        return Admission("first", named or current, refusal)

    def counts(self) -> dict[str, int]:
        """As `Books.admitted`."""
        return {"first": len(self._first), "duplicate": len(self._duplicates)}

    def prune(self, cutoff: float) -> None:
        """Drop what is older."""
        self._first = {key: first for key, first in self._first.items() if first[2] >= cutoff}
        self._refusals = {key: refusal for key, refusal in self._refusals.items() if key in self._first}
        self._duplicates = {key: at for key, at in self._duplicates.items() if at >= cutoff}
        self._known = {case_id: known for case_id, known in self._known.items() if known[1] >= cutoff}

    def _compare(self, case_id: CaseId, candidate: Candidate, now: float, *, redrive: bool) -> Refusal | None:
        """The refusal of a near-duplicate; else remember the candidate."""
        if case_id in self._known:
            return None
        if not redrive and (refusal := self._near_duplicate(candidate)):
            return refusal
        self._known[case_id] = Known(case_id, candidate.sketch.signature, candidate.id, candidate.text), now
        for band in candidate.sketch.bands:
            self._bands[band].add(case_id)
        return None

    def _near_duplicate(self, candidate: Candidate) -> Refusal | None:
        found = set().union(*(self._bands[band] for band in candidate.sketch.bands)) & self._known.keys()
        match = closest([match for case_id in found if (match := self._known[case_id][0].match(candidate))])
        return None if match is None else Refusal("near_duplicate", match)

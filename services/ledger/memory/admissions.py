"""The questions that were let in, in memory: what newcomers are held against."""

from collections import defaultdict

from services.core.dedupe.minhash import Candidate, Known, closest
from services.core.ledger.ports import Refusal


class MemoryKnown:
    """Part of the memory ledger."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Known, float]] = {}
        self._bands: defaultdict[int, set[str]] = defaultdict(set)

    def let_in(self, case_id: str, candidate: Candidate, now: float, *, anyway: bool) -> Refusal | None:
        """Remember the newcomer, unless one that is known is too like it: then say which."""
        if case_id in self._known:
            return None
        if not anyway and (refusal := self._refusal(candidate)):
            return refusal
        self._known[case_id] = Known(case_id, candidate.sketch.signature, candidate.id, candidate.text), now
        for band in candidate.sketch.bands:
            self._bands[band].add(case_id)
        return None

    def prune(self, cutoff: float) -> None:
        """Forget those of before."""
        self._known = {case_id: known for case_id, known in self._known.items() if known[1] >= cutoff}

    def _refusal(self, candidate: Candidate) -> Refusal | None:
        found = set().union(*(self._bands[band] for band in candidate.sketch.bands)) & self._known.keys()
        matches = [match for case_id in found if (match := self._known[case_id][0].match(candidate))]
        match = closest(matches)
        return None if match is None else Refusal("near_duplicate", match)

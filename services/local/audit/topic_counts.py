"""Counts the messages in the topics of a run."""

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from services.contracts.base import CaseId, RecipeId, WorkId
from services.contracts.case import Call, Case, Difficulty, Spared
from services.contracts.codec import Malformed, UnknownVersion, decode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.contracts.question import Submission
from services.contracts.recipe import Recipe
from services.contracts.record import Record
from services.contracts.refused import Refused
from services.contracts.topics import (
    CASE_REJECTED,
    CURRENT,
    QUESTION_REFUSED,
    QUESTION_SUBMITTED,
    RECIPES,
    RECORD_COMPLETED,
    stage_topic,
    topics,
)
from services.core import ids
from services.core.messages import ConsumedRecord

Work = tuple[WorkId, int]
"""Work id and life."""


@dataclass
class Topics:
    """Counts of the topics' messages. Holds the records; of other messages only ids and digests."""

    questions: set[str] = field(default_factory=set)
    recipes: dict[str, Recipe] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    equal_repeats: int = 0
    differing_repeats: int = 0
    dead_letters: int = 0
    difficulty: dict[WorkId, Difficulty] = field(default_factory=dict)
    case_of: dict[WorkId, tuple[CaseId, RecipeId]] = field(default_factory=dict)
    """Case id and recipe id by work id."""
    calls: dict[str, tuple[Call, str]] = field(default_factory=dict)
    """The calls of all cases and records: recipe id by call id."""
    spared: dict[Work, tuple[Spared, ...]] = field(default_factory=dict)
    """What each ended work did not need."""
    refused: set[str] = field(default_factory=set)
    """Case ids of refused questions."""
    _seen: dict[tuple[object, ...], bytes] = field(default_factory=dict)
    _ends: defaultdict[Work, set[str]] = field(default_factory=lambda: defaultdict(set))
    _places: defaultdict[Work, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """The index of each record within its work, by record id."""
    _life: defaultdict[WorkId, int] = field(default_factory=lambda: defaultdict(int))
    """The last life of each work."""
    _dead_cases: set[str] = field(default_factory=set)
    _named: set[tuple[CaseId, RecipeId]] = field(default_factory=set)
    """Case id and recipe id of each submission with a recipe: each must become a work of its own."""

    def take(self, message: ConsumedRecord) -> None:
        """Count one message. An unreadable message counts for no question; its service dead-letters it."""
        try:
            self._take(message)
        except (Malformed, UnknownVersion):
            return

    def _take(self, message: ConsumedRecord) -> None:
        if message.topic == RECIPES:
            self._recipe(message)
        elif stage_topic(message.topic) == QUESTION_SUBMITTED:
            self._submission(decode(Submission, message.value or b""))
        elif message.topic == QUESTION_REFUSED:
            self._refused(message)
        elif message.topic == RECORD_COMPLETED:
            self._record(message)
        elif topics()[message.topic].message == "dead_letter":
            self._dead(message)
        else:
            self._case(message)

    def ends(self) -> dict[Work, set[str]]:
        """The kinds of ends of each work: one each unless there is a defect."""
        return dict(self._ends)

    def last_ends(self) -> Counter[str]:
        """Ends by kind: of each work in its last life, and of questions that died before they were a case."""
        ends = Counter(kind for (work, life), kinds in self._ends.items() if life == self._life[work] for kind in kinds)
        begun = {self.case_of[work][0] for work in self._life}
        ends["dead"] += len(self._dead_cases - begun - self.refused)
        return ends

    def two_ends(self) -> int:
        """The number of works with two ends in one life: of two kinds, or with records of two different sets."""
        works = {*self._ends, *self._places}
        return sum(len(self._ends.get(work, ())) > 1 or self._records_clash(work) for work in works)

    def ended_questions(self) -> set[str]:
        """The case ids that have ended, and whose works have all ended in their last life."""
        without_work = self._dead_cases | self.refused
        ended = {self.case_of[work][0] for work, _ in self._ends} | without_work
        open_ = {self.case_of[work][0] for work, life in self._life.items() if (work, life) not in self._ends}
        never_begun = {case for case, recipe in self._named if ids.work_id(case, recipe) not in self._life}
        return ended - open_ - (never_begun - without_work)

    def _submission(self, submission: Submission) -> None:
        self.questions.add(submission.case_id)
        if submission.recipe_id is not None:
            self._named.add((submission.case_id, submission.recipe_id))

    def _refused(self, message: ConsumedRecord) -> None:
        refused = decode(Refused, message.value or b"")
        self._count(message, refused.case_id, refused.life)
        self.refused.add(refused.case_id)

    def _records_clash(self, work: Work) -> bool:
        places = self._places.get(work, {}).values()
        return len(places) > len(set(places)) or bool(places and self._ends.get(work, set()) - {"accepted"})

    def _recipe(self, message: ConsumedRecord) -> None:
        if message.key != CURRENT.encode():
            self.recipes[(message.key or b"").decode()] = decode(Recipe, message.value or b"")

    def _record(self, message: ConsumedRecord) -> None:
        record = decode(Record, message.value or b"")
        self._count(message, record.record_id, record.life)
        self.records[record.record_id] = record
        self.case_of[record.work_id] = record.case_id, record.recipe_id
        self.calls.update({call.call_id: (call, record.recipe_id) for call in record.calls})
        work = record.work_id, record.life
        self._life[record.work_id] = max(self._life[record.work_id], record.life)
        self._places[work][record.record_id] = record.index
        if len(set(self._places[work].values())) == record.of:
            self._ends[work].add("accepted")

    def _case(self, message: ConsumedRecord) -> None:
        case = decode(Case, message.value or b"")
        self._count(message, case.work_id, case.life, case.rounds, case.wave)
        self._note(case)
        if message.topic == CASE_REJECTED:
            self._ends[case.work_id, case.life].add("rejected")

    def _note(self, case: Case) -> None:
        self.case_of[case.work_id] = case.case_id, case.recipe_id
        self._life[case.work_id] = max(self._life[case.work_id], case.life)
        if case.spared:
            self.spared[case.work_id, case.life] = case.spared
        if case.difficulty is not None:
            self.difficulty[case.work_id] = case.difficulty
        self.calls.update({call.call_id: (call, case.recipe_id) for path in case.paths for call in path.calls})

    def _dead(self, message: ConsumedRecord) -> None:
        """The dead letter of a case is its end; that of a record (by the exporter) is not."""
        self.dead_letters += 1
        letter = decode(DeadLetter, message.headers.get(DEAD_LETTER_HEADER, b""))
        self._count(message, letter.topic, letter.partition, letter.offset)
        kind = topics()[letter.topic].message
        if kind == "submission":
            self._dead_cases.add(decode(Submission, message.value or b"").case_id)
        elif kind == "case":
            case = decode(Case, message.value or b"")
            self._note(case)
            self._ends[case.work_id, case.life].add("dead")

    def _count(self, message: ConsumedRecord, *key: object) -> None:
        digest = hashlib.sha256(message.value or b"").digest()
        before = self._seen.setdefault((message.topic, *key), digest)
        if before is not digest:
            self.equal_repeats += before == digest
            self.differing_repeats += before != digest

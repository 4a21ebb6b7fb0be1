"""The messages that redrive a dead letter: topic, bytes and life. Pure. The reasons: docs/adr/0009-redrive.md.

Deterministic: the same letter always gives the same bytes for the same topic.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from services.contracts.base import RecipeId
from services.contracts.case import Case, Path
from services.contracts.codec import Malformed, UnknownVersion, decode, encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.contracts.question import Submission
from services.contracts.redriven import Redriven
from services.contracts.topics import (
    CASE_DIFFICULT,
    CASE_MEDIUM,
    CASE_REJECTED,
    CURRENT,
    LETTER_REDRIVEN,
    PATHS_GENERATED,
    QUESTION_ADMITTED,
    in_lane,
    lane_of,
    topics,
)
from services.core.case.paths import by_operator, of_round
from services.core.ids import work_id
from services.core.messages import ConsumedRecord, OutgoingRecord

_CASE_ID = re.compile(rb"case-[0-9a-f]{32}")


@dataclass(frozen=True)
class Letter:
    """A decoded dead letter."""

    reason: DeadLetter
    original: OutgoingRecord
    """The original message, unchanged."""

    @property
    def case_id(self) -> str | None:
        """The key of the original message if it is a case id."""
        return self.original.key.decode() if _CASE_ID.fullmatch(self.original.key) else None

    @property
    def origin(self) -> str:
        """The position of the original message: TOPIC/PARTITION/OFFSET."""
        return _origin(self.reason)


@dataclass(frozen=True)
class NewLife:
    """The life that a redrive starts."""

    what: str
    """As in the field of the same name of Redriven."""
    number: int
    origin: str
    """The position of the original message."""


@dataclass(frozen=True)
class Redrive:
    """The message that redrives a letter, and the life that it starts."""

    begins: NewLife
    message: OutgoingRecord


class NotRedrivable(ValueError):
    """The letter cannot be redriven. The text has the reason and the remedy."""


def read_letter(received: ConsumedRecord) -> Letter:
    """Decode a message of a dead-letter topic. Raises Malformed, UnknownVersion."""
    reason = decode(DeadLetter, received.headers.get(DEAD_LETTER_HEADER, b""))
    headers = {name: value for name, value in received.headers.items() if name != DEAD_LETTER_HEADER}
    return Letter(reason, OutgoingRecord(reason.topic, received.key or b"", received.value or b"", headers))


def redrive(letter: Letter) -> Redrive:
    """The redrive of a letter. A case or submission starts a new life. A record, or a message of a newer version, is
    sent unchanged. Raises NotRedrivable."""
    if letter.reason.kind == "poison":
        raise NotRedrivable("it is malformed, so a redrive would fail again: fix its producer and send it again")
    topic = topics().get(letter.reason.topic)
    try:
        match topic.message if topic else None:
            case "submission":
                return _submission(letter, decode(Submission, letter.original.value))
            case "case":
                return _case(letter, decode(Case, letter.original.value))
            case "record":
                return _unchanged(letter)
            case _:
                raise NotRedrivable(f"unknown topic {letter.reason.topic}: update this command")
    except UnknownVersion:
        return _unchanged(letter)
    except Malformed as error:
        raise NotRedrivable(f"its message cannot be decoded: {error}") from error


def end(letter: Letter, reason: str, current: RecipeId | None) -> Redrive:
    """The message that ends a letter's case for good: the case in a new life, in case-rejected, with the reason.
    `current`: the recipe that a question gets which names none. Raises NotRedrivable where there is no case to end."""
    topic = topics().get(letter.reason.topic)
    try:
        match topic.message if topic else None:
            case "submission":
                submission = decode(Submission, letter.original.value)
                recipe_id = submission.recipe_id or current
                if recipe_id is None:
                    raise NotRedrivable("no recipe is current, and a case belongs to one: publish one with --current")
                case = Case(
                    case_id=submission.case_id,
                    work_id=work_id(submission.case_id, recipe_id),
                    recipe_id=recipe_id,
                    life=submission.life,
                    question=submission.question,
                )
                what = f"{submission.case_id} {submission.recipe_id or CURRENT}"
            case "case":
                case = decode(Case, letter.original.value)
                what = case.work_id
            case _:
                raise NotRedrivable("it is no case, so there is none to end")
    except (UnknownVersion, Malformed) as error:
        raise NotRedrivable(f"its message cannot be decoded: {error}") from error
    return _begun(letter, what, case.with_(life=case.life + 1, rejected=by_operator(reason)), CASE_REJECTED)


def note(letter: Letter, redriven: Redrive) -> OutgoingRecord:
    """The note that the letter has been redriven. Publish it after the redrive: an interruption in between then repeats
    the same bytes, and loses no letter."""
    reason = letter.reason
    redriven_note = Redriven(
        what=redriven.begins.what,
        life=redriven.begins.number,
        topic=reason.topic,
        partition=reason.partition,
        offset=reason.offset,
        to=redriven.message.topic,
    )
    return OutgoingRecord(LETTER_REDRIVEN, redriven_note.what.encode(), encode(redriven_note), {})


@dataclass
class Lives:
    """The latest known life of each work, question or position, from notes and from letters."""

    _latest: dict[str, int] = field(default_factory=dict)

    def add_letter(self, new: NewLife) -> None:
        """A letter whose redrive would start this life shows that the life before it has begun."""
        self._add(new.what, new.number - 1)

    def add_note(self, redriven: Redriven) -> None:
        """A note shows that its life has begun. The position of the original message counts as well: its message may
        have been of a newer version than the note's writer could decode."""
        self._add(redriven.what, redriven.life)
        self._add(_origin(redriven), 1)

    def begun(self, new: NewLife) -> bool:
        """Whether this life, or a later one, has begun."""
        return self._latest.get(new.what, 0) >= new.number or self._latest.get(new.origin, 0) > 0

    def _add(self, what: str, life: int) -> None:
        self._latest[what] = max(life, self._latest.get(what, 0))


def _submission(letter: Letter, submission: Submission) -> Redrive:
    what = f"{submission.case_id} {submission.recipe_id or CURRENT}"
    return _begun(letter, what, submission.with_(life=submission.life + 1), letter.reason.topic)


def _case(letter: Letter, case: Case) -> Redrive:
    match letter.reason.kind:
        case "too_many_unknown":
            onward, topic = _onward(case, letter.reason.topic)
            call_life = None
        case "no_summary":
            onward, topic, call_life = case, letter.reason.topic, None
        case "not_yet" | "killer" | "defect" | "poison":  # No reply was at fault: the calls so far are kept.
            onward, topic, call_life = case, letter.reason.topic, case.asks_in
        case other:
            assert_never(other)
    return _begun(letter, case.work_id, onward.with_(life=case.life + 1, call_life=call_life), topic)


def _begun(letter: Letter, what: str, message: Submission | Case, topic: str) -> Redrive:
    topic = in_lane(topic, lane_of(letter.reason.topic))
    sent = replace(letter.original, topic=topic, value=encode(message))
    return Redrive(NewLife(what, message.life, letter.origin), sent)


def _unchanged(letter: Letter) -> Redrive:
    return Redrive(NewLife(letter.origin, 1, letter.origin), letter.original)


def _onward(case: Case, topic: str) -> tuple[Case, str]:
    """The case without what will be asked again, and the topic that starts this. Unknown paths with a text lose their
    verdicts only; those without a text are generated again.

    Unknown paths stay if other paths of their refining round are known, and the plan's stay once the route is chosen:
    no service generates these again, and the router has a rule for them (the parent of a rewritten path keeps its
    slot).
    """
    if case.difficulty is None:
        unknown = [path for path in case.paths if path.standing == "unknown"]
        failed = [path for path in unknown if path.failure is not None]
        onward = _without(_unverified(case, unknown), failed)
        return onward, QUESTION_ADMITTED if failed else PATHS_GENERATED if unknown else topic
    last = of_round(case, case.rounds)
    if not last or any(path.standing != "unknown" for path in last):
        return case, topic
    if any(path.failure is None for path in last):
        return _unverified(case, last), PATHS_GENERATED
    lane = CASE_MEDIUM if case.difficulty == "medium" else CASE_DIFFICULT
    return _without(case, last).with_(rounds=case.rounds - 1), lane


def _without(case: Case, gone: Sequence[Path]) -> Case:
    ids = {path.path_id for path in gone}
    return case.with_(paths=tuple(path for path in case.paths if path.path_id not in ids))


def _unverified(case: Case, among: Sequence[Path]) -> Case:
    ids = {path.path_id for path in among if path.failure is None}
    paths = (path.with_(verdict=None, score=None) if path.path_id in ids else path for path in case.paths)
    return case.with_(paths=tuple(paths))


def _origin(where: DeadLetter | Redriven) -> str:
    return f"{where.topic}/{where.partition}/{where.offset}"

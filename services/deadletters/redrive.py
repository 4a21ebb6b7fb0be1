"""Dead letters sent on their way again: what goes where, and in which life. Pure: docs/adr/0009-redrive.md says why.

The same letter makes the same bytes for the same topic, however often.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from services.contracts.case import Case, Path
from services.contracts.codec import Malformed, UnknownVersion, decode, encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.contracts.question import Submission
from services.contracts.redriven import Redriven
from services.contracts.topics import (
    CASE_DIFFICULT,
    CASE_MEDIUM,
    CURRENT,
    LETTER_REDRIVEN,
    PATHS_GENERATED,
    QUESTION_ADMITTED,
    topics,
)
from services.core.case.paths import of_round
from services.core.messages import ConsumedRecord, OutgoingRecord

_CASE_ID = re.compile(rb"case-[0-9a-f]{32}")


@dataclass(frozen=True)
class Letter:
    """A dead letter, read."""

    reason: DeadLetter
    original: OutgoingRecord
    """The message that died, as it would go back unchanged."""

    @property
    def case_id(self) -> str | None:
        """The key of the message that died, where it is a case id."""
        return self.original.key.decode() if _CASE_ID.fullmatch(self.original.key) else None

    @property
    def origin(self) -> str:
        """Where the message that died had been read: TOPIC/PARTITION/OFFSET."""
        return _origin(self.reason)


@dataclass(frozen=True)
class NewLife:
    """The life that begins with a redrive."""

    what: str
    """As in the note, see Redriven."""
    number: int
    origin: str
    """Where the message that died had been read."""


@dataclass(frozen=True)
class Redrive:
    """What a letter's redrive sends."""

    begins: NewLife
    message: OutgoingRecord


class NotRedrivable(ValueError):
    """This letter can't be redriven: says why, and what to do."""


def read_letter(received: ConsumedRecord) -> Letter:
    """The dead letter that a message of a topic of dead letters holds. Raises Malformed, UnknownVersion."""
    reason = decode(DeadLetter, received.headers.get(DEAD_LETTER_HEADER, b""))
    headers = {name: value for name, value in received.headers.items() if name != DEAD_LETTER_HEADER}
    return Letter(reason, OutgoingRecord(reason.topic, received.key or b"", received.value or b"", headers))


def redrive(letter: Letter) -> Redrive:
    """What follows from the letter. A case or submission begins a new life; a record, and what only a newer version
    reads, goes back as it was. Raises NotRedrivable."""
    if letter.reason.kind == "poison":
        raise NotRedrivable("it was refused as unreadable, and would be again: repair its writer, and send it again")
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
                raise NotRedrivable(f"nothing is redriven to {letter.reason.topic}: is this command up to date?")
    except UnknownVersion:
        return _unchanged(letter)
    except Malformed as error:
        raise NotRedrivable(f"it can't be read: {error}") from error


def note(letter: Letter, redriven: Redrive) -> OutgoingRecord:
    """The message that says that the letter has been redriven. To be published after it: an interruption in between
    costs a repeat of the same bytes, never a letter."""
    reason = letter.reason
    said = Redriven(
        what=redriven.begins.what,
        life=redriven.begins.number,
        topic=reason.topic,
        partition=reason.partition,
        offset=reason.offset,
        to=redriven.message.topic,
    )
    return OutgoingRecord(LETTER_REDRIVEN, said.what.encode(), encode(said), {})


@dataclass
class Lives:
    """The latest life that is known of each thing: from the notes, and from the letters themselves."""

    _latest: dict[str, int] = field(default_factory=dict)

    def take(self, new: NewLife) -> None:
        """A letter is there whose redrive would begin this life: the one before it has been."""
        self._see(new.what, new.number - 1)

    def take_note(self, said: Redriven) -> None:
        """A note is there. Its message may have been unreadable to who wrote it, and be readable now: so where that had
        been read is remembered as well."""
        self._see(said.what, said.life)
        self._see(_origin(said), 1)

    def begun(self, new: NewLife) -> bool:
        """Whether this life, or a later one, has begun already."""
        return self._latest.get(new.what, 0) >= new.number or self._latest.get(new.origin, 0) > 0

    def _see(self, what: str, life: int) -> None:
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
    sent = replace(letter.original, topic=topic, value=encode(message))
    return Redrive(NewLife(what, message.life, letter.origin), sent)


def _unchanged(letter: Letter) -> Redrive:
    return Redrive(NewLife(letter.origin, 1, letter.origin), letter.original)


def _onward(case: Case, topic: str) -> tuple[Case, str]:
    """The case without what will be asked again, and the topic where that begins. Unknown paths with a text lose their
    verdicts only; those without a text are written again.

    One unknown path beside others of its refining round stays, and so do the plan's once the route is known: nobody
    would generate them again, and the router has its rule for them (a rewritten path's parent keeps its place).
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

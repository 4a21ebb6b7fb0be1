"""The progress of a run's questions: distinct ids counted from the topics, not from metrics."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from services.contracts.codec import Malformed, UnknownVersion, decode, loads
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.contracts.topics import CASE_REJECTED, QUESTION_REFUSED, RECORD_COMPLETED, stage_topic, topics
from services.core.messages import ConsumedRecord

End = Literal["accepted", "rejected", "dead", "refused"]

FOLLOWED = tuple(name for name, topic in topics().items() if not topic.compacted)
"""All topics of cases, in the order of the stream."""


@dataclass
class Progress:
    """Counts of the topics' messages so far; holds ids, no bodies."""

    cases: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Case ids by topic, that of the live lane for both."""
    ends: dict[str, End] = field(default_factory=dict)
    """How each case ended, by case id; the latest end, if it has several recipes or lives."""
    records: set[str] = field(default_factory=set)
    dead_letters: int = 0
    _indexes: defaultdict[tuple[str, int], set[int]] = field(default_factory=lambda: defaultdict(set))

    def take(self, message: ConsumedRecord) -> None:
        """Count one message. An unreadable message counts by its key only."""
        case_id = (message.key or b"").decode(errors="replace")
        self.cases[stage_topic(message.topic)].add(case_id)
        try:
            end = self._end(message)
        except (Malformed, UnknownVersion, KeyError, TypeError):
            return
        if end is not None:
            self.ends[case_id] = end

    def counts(self) -> dict[str, int]:
        """Distinct cases by topic."""
        return {topic: len(ids) for topic, ids in self.cases.items()}

    def by_end(self) -> Counter[End]:
        """Ended cases by kind."""
        return Counter(self.ends.values())

    def open(self, case_ids: Collection[str]) -> Mapping[str, str]:
        """The cases among these that have not ended, each with the last topic that it reached."""
        return {case_id: self._last_seen(case_id) for case_id in case_ids if case_id not in self.ends}

    def _last_seen(self, case_id: str) -> str:
        seen = [topic for topic in FOLLOWED if case_id in self.cases[topic]]
        return seen[-1] if seen else "nowhere"

    def _end(self, message: ConsumedRecord) -> End | None:
        if message.topic == RECORD_COMPLETED:
            return self._record(message)
        if message.topic == CASE_REJECTED:
            return "rejected"
        if message.topic == QUESTION_REFUSED:
            return "refused"
        return self._dead(message) if topics()[message.topic].message == "dead_letter" else None

    def _record(self, message: ConsumedRecord) -> End | None:
        record = loads(message.value or b"")
        self.records.add(record["record_id"])
        indexes = self._indexes[record["work_id"], record["life"]]
        indexes.add(record["index"])
        return "accepted" if len(indexes) == record["of"] else None

    def _dead(self, message: ConsumedRecord) -> End | None:
        """The dead letter of a case is its end; that of a record (by the exporter) is not."""
        self.dead_letters += 1
        letter = decode(DeadLetter, message.headers[DEAD_LETTER_HEADER])
        return None if topics()[letter.topic].message == "record" else "dead"

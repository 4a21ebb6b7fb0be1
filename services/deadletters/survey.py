"""The dead letters of a cluster: read, chosen, sent on their way again. Nothing is printed here."""

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.contracts.codec import Malformed, UnknownVersion, decode
from services.contracts.dead import DeadLetter
from services.contracts.redriven import Redriven
from services.contracts.topics import LETTER_REDRIVEN, dead_topic, topics
from services.core.messages import ConsumedRecord, Sink
from services.deadletters.redrive import Letter, Lives, NewLife, NotRedrivable, note, read_letter, redrive
from services.runtime.engine.source import TopicPartition
from services.runtime.kafka.admin import held
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reader import read_range, read_topic
from services.runtime.kafka.sink import KafkaSink

DEAD_TOPICS = {topic.name: topic.written_by[0] for topic in topics().values() if topic.message == "dead_letter"}
"""The service of each topic of dead letters."""

SERVICES = (*DEAD_TOPICS.values(), *(topic.group for topic in topics().values() if topic.group is not None))
"""What a letter can be chosen by: its service; or its group, where a service has several."""

BATCH = 16
"""Letters that are sent before their notes are: so many an interruption may repeat, of 4 MB each at most."""


class NoDeadLetters(Exception):
    """A dead-letter topic or letter is missing, or unreadable to this version: the message says what to do."""


Step = Callable[[int], None]
"""Told of each step of long work: so many letters more."""


@dataclass(frozen=True)
class Row:
    """A dead letter without its bytes."""

    service: str
    """Whose topic it stands in."""
    partition: int
    offset: int
    died: datetime
    case_id: str | None
    reason: DeadLetter
    begins: NewLife | None
    """The life that its redrive begins; None where it can't be redriven."""
    to: str | None
    """The topic that its redrive goes to."""
    why_not: str | None
    redriven: bool = False


@dataclass(frozen=True)
class Filter:
    """Which letters are meant: all that is given must hold."""

    service: str | None = None
    """One of SERVICES."""
    kind: str | None = None
    case: str | None = None
    since: datetime | None = None

    def takes(self, row: Row) -> bool:
        """Whether this letter is meant."""
        return (
            self.service in (None, row.service, row.reason.service)
            and self.kind in (None, row.reason.kind)
            and self.case in (None, row.case_id)
            and (self.since is None or row.died >= self.since)
        )


@dataclass(frozen=True)
class Survey:
    """All that stands in the topics of dead letters."""

    rows: Sequence[Row]
    """By time."""
    unreadable: int
    """Messages in these topics that are no dead letters."""


async def count(kafka: KafkaClient) -> int:
    """How many dead letters there are. Raises BrokerAway, and NoDeadLetters where their topics are missing."""
    holds = await held(kafka, [*DEAD_TOPICS, LETTER_REDRIVEN])
    if missing := {*DEAD_TOPICS, LETTER_REDRIVEN} - {partition.topic for partition in holds}:
        raise NoDeadLetters(
            f"Kafka at {kafka.bootstrap} has no {', '.join(sorted(missing))}: run `reasonmed topics declare`"
        )
    return sum(len(offsets) for partition, offsets in holds.items() if partition.topic != LETTER_REDRIVEN)


async def survey(kafka: KafkaClient, step: Step = lambda _: None) -> Survey:
    """Read all dead letters, and which of them have been redriven. Raises BrokerAway."""
    lives, rows, unreadable = Lives(), [], 0
    for said in await _notes(kafka):
        lives.take_note(said)
    async with aclosing(read_topic(kafka, *DEAD_TOPICS)) as messages:
        async for message in messages:
            step(1)
            try:
                rows.append(row_of(message))
            except (Malformed, UnknownVersion):
                unreadable += 1
    return Survey(_with_lives(rows, lives), unreadable)


def row_of(message: ConsumedRecord) -> Row:
    """A message of a topic of dead letters. Raises Malformed, UnknownVersion."""
    letter = read_letter(message)
    begins, to, why_not = None, None, None
    try:
        redriven = redrive(letter)
        begins, to = redriven.begins, redriven.message.topic
    except NotRedrivable as error:
        why_not = str(error)
    return Row(
        service=DEAD_TOPICS[message.topic],
        partition=message.partition,
        offset=message.offset,
        died=datetime.fromtimestamp(message.timestamp_ms / 1000, UTC),
        case_id=letter.case_id,
        reason=letter.reason,
        begins=begins,
        to=to,
        why_not=why_not,
    )


def to_send(rows: Iterable[Row]) -> list[Row]:
    """Of these, the letters that a redrive sends: each life begins once, whatever stands twice."""
    first: dict[tuple[str, int], Row] = {}
    for row in rows:
        if row.begins is not None and not row.redriven:
            first.setdefault((row.begins.what, row.begins.number), row)
    return list(first.values())


async def send(kafka: KafkaClient, chosen: Collection[Row], step: Step = lambda _: None) -> None:
    """Redrive these letters. May be interrupted, and repeated: what was sent and not noted yet is then sent again, the
    same bytes to the same topics. Raises BrokerAway."""
    wanted = {(dead_topic(row.service), row.partition, row.offset) for row in chosen}
    async with KafkaSink(kafka) as sink, aclosing(_letters(kafka, wanted)) as letters:
        batch: list[Letter] = []
        async for letter in letters:
            batch.append(letter)
            if len(batch) == BATCH:
                await _redrive(sink, batch)
                step(len(batch))
                batch = []
        await _redrive(sink, batch)
        step(len(batch))


async def one(kafka: KafkaClient, service: str, partition: int, offset: int) -> ConsumedRecord:
    """The message of a topic of dead letters that stands here. Raises BrokerAway, NoDeadLetters."""
    where = TopicPartition(dead_topic(service), partition)
    holds = await held(kafka, [where.topic])
    if offset in holds.get(where, range(0)):
        for message in await read_range(kafka, where, offset, offset + 1):
            return message
    raise NoDeadLetters(f"{where.topic} holds nothing at {partition}/{offset}: see `reasonmed dead list`")


async def _letters(kafka: KafkaClient, wanted: Collection[tuple[str, int, int]]) -> AsyncGenerator[Letter, None]:
    async with aclosing(read_topic(kafka, *{topic for topic, _, _ in wanted})) as messages:
        async for message in messages:
            if (message.topic, message.partition, message.offset) in wanted:
                yield read_letter(message)


async def _redrive(sink: Sink, letters: Sequence[Letter]) -> None:
    redrives = [redrive(letter) for letter in letters]
    await sink.publish([each.message for each in redrives])
    await sink.publish([note(letter, each) for letter, each in zip(letters, redrives, strict=True)])


async def _notes(kafka: KafkaClient) -> list[Redriven]:
    notes = []
    async with aclosing(read_topic(kafka, LETTER_REDRIVEN)) as messages:
        async for message in messages:
            with suppress(Malformed):
                notes.append(_note(message))
    return notes


def _note(message: ConsumedRecord) -> Redriven:
    try:
        return decode(Redriven, message.value or b"")
    except UnknownVersion as error:  # passed over, it would let a letter be redriven twice
        raise NoDeadLetters(
            f"{LETTER_REDRIVEN} holds notes of a newer version of this command: use that one"
        ) from error


def _with_lives(rows: list[Row], lives: Lives) -> list[Row]:
    for row in rows:
        if row.begins is not None:
            lives.take(row.begins)
    done = [replace(row, redriven=row.begins is not None and lives.begun(row.begins)) for row in rows]
    return sorted(done, key=lambda row: (row.died, row.service, row.partition, row.offset))

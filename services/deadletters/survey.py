"""Read, filter and redrive the dead letters of a cluster. Prints nothing."""

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.contracts.codec import Malformed, UnknownVersion, decode
from services.contracts.dead import DeadLetter
from services.contracts.redriven import Redriven
from services.contracts.topics import LETTER_REDRIVEN, dead_topic, topics
from services.core.messages import ConsumedRecord, Sink, TopicPartition
from services.deadletters.redrive import Letter, Lives, NewLife, NotRedrivable, Redrive, note, read_letter, redrive
from services.runtime.kafka.admin import held
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reader import read_range, read_topic
from services.runtime.kafka.sink import KafkaSink

DEAD_TOPICS = {topic.name: topic.written_by[0] for topic in topics().values() if topic.message == "dead_letter"}
"""The service that writes each dead-letter topic."""

SERVICES = tuple(
    dict.fromkeys([*DEAD_TOPICS.values(), *(topic.group for topic in topics().values() if topic.group is not None)])
)
"""Values of the filter by service: service names, and consumer groups where a service has several."""

BATCH = 16
"""Letters that are sent before their notes. An interruption repeats at most this many, of at most 4 MB each."""


class NoDeadLetters(Exception):
    """A dead-letter topic or letter is missing, or of a newer version. The text has the remedy."""


Step = Callable[[int], None]
"""Progress callback: called with the number of letters done since the last call."""


@dataclass(frozen=True)
class Row:
    """A dead letter without its bytes."""

    service: str
    """The service of its dead-letter topic."""
    partition: int
    offset: int
    died: datetime
    case_id: str | None
    reason: DeadLetter
    begins: NewLife | None
    """The life that its redrive starts; None if it cannot be redriven."""
    to: str | None
    """The topic that its redrive writes to."""
    why_not: str | None
    redriven: bool = False


@dataclass(frozen=True)
class Filter:
    """Selects letters; all given conditions must hold. None: any."""

    service: str | None = None
    """One of SERVICES."""
    kind: str | None = None
    case: str | None = None
    since: datetime | None = None

    def takes(self, row: Row) -> bool:
        """Whether the letter matches."""
        return (
            self.service in (None, row.service, row.reason.service)
            and self.kind in (None, row.reason.kind)
            and self.case in (None, row.case_id)
            and (self.since is None or row.died >= self.since)
        )


@dataclass(frozen=True)
class Survey:
    """The content of the dead-letter topics."""

    rows: Sequence[Row]
    """By time."""
    unreadable: int
    """The number of messages in these topics that are not dead letters."""


async def count(kafka: KafkaClient) -> int:
    """The number of dead letters. Raises BrokerAway, and NoDeadLetters if a topic is missing."""
    holds = await held(kafka, [*DEAD_TOPICS, LETTER_REDRIVEN])
    if missing := {*DEAD_TOPICS, LETTER_REDRIVEN} - {partition.topic for partition in holds}:
        raise NoDeadLetters(
            f"Kafka at {kafka.bootstrap} has no {', '.join(sorted(missing))}: run `reasonmed topics declare`"
        )
    return sum(len(offsets) for partition, offsets in holds.items() if partition.topic != LETTER_REDRIVEN)


async def survey(kafka: KafkaClient, step: Step = lambda _: None) -> Survey:
    """Read all dead letters and the notes of redrives. Raises BrokerAway, NoDeadLetters."""
    lives, rows, unreadable = Lives(), [], 0
    for redriven in await _notes(kafka):
        lives.add_note(redriven)
    async with aclosing(read_topic(kafka, *DEAD_TOPICS)) as messages:
        async for message in messages:
            step(1)
            try:
                rows.append(row_of(message))
            except (Malformed, UnknownVersion):
                unreadable += 1
    return Survey(_with_lives(rows, lives), unreadable)


def row_of(message: ConsumedRecord) -> Row:
    """The row of a message of a dead-letter topic. Raises Malformed, UnknownVersion."""
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
    """The letters to send: one for each life that has not begun, also if several letters would start it."""
    first: dict[tuple[str, int], Row] = {}
    for row in rows:
        if row.begins is not None and not row.redriven:
            first.setdefault((row.begins.what, row.begins.number), row)
    return list(first.values())


async def send(
    kafka: KafkaClient,
    chosen: Collection[Row],
    step: Step = lambda _: None,
    *,
    make: Callable[[Letter], Redrive] = redrive,
) -> None:
    """Send each of these letters' messages: what `make` gives, a redrive or an end. May be interrupted and run again:
    letters sent without a note are then sent again, the same bytes to the same topics. Raises BrokerAway."""
    wanted = {(dead_topic(row.service), row.partition, row.offset) for row in chosen}
    async with KafkaSink(kafka) as sink, aclosing(_letters(kafka, wanted)) as letters:
        batch: list[Letter] = []
        async for letter in letters:
            batch.append(letter)
            if len(batch) == BATCH:
                await _redrive(sink, batch, make)
                step(len(batch))
                batch = []
        await _redrive(sink, batch, make)
        step(len(batch))


async def one(kafka: KafkaClient, service: str, partition: int, offset: int) -> ConsumedRecord:
    """The message at this position of a dead-letter topic. Raises BrokerAway, NoDeadLetters."""
    where = TopicPartition(dead_topic(service), partition)
    holds = await held(kafka, [where.topic])
    if offset in holds.get(where, range(0)):
        for message in await read_range(kafka, where, offset, offset + 1):
            return message
    raise NoDeadLetters(f"{where.topic} has no letter at {partition}/{offset}: see `reasonmed dead list`")


async def _letters(kafka: KafkaClient, wanted: Collection[tuple[str, int, int]]) -> AsyncGenerator[Letter, None]:
    async with aclosing(read_topic(kafka, *{topic for topic, _, _ in wanted})) as messages:
        async for message in messages:
            if (message.topic, message.partition, message.offset) in wanted:
                yield read_letter(message)


async def _redrive(sink: Sink, letters: Sequence[Letter], make: Callable[[Letter], Redrive]) -> None:
    redrives = [make(letter) for letter in letters]
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
    except UnknownVersion as error:  # skipping the note could redrive a letter twice
        raise NoDeadLetters(f"{LETTER_REDRIVEN} has notes of a newer version: update this command") from error


def _with_lives(rows: list[Row], lives: Lives) -> list[Row]:
    for row in rows:
        if row.begins is not None:
            lives.add_letter(row.begins)
    done = [replace(row, redriven=row.begins is not None and lives.begun(row.begins)) for row in rows]
    return sorted(done, key=lambda row: (row.died, row.service, row.partition, row.offset))

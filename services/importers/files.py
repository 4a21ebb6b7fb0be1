"""Submits a file of questions to Kafka, from its saved position to its end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from services.core.messages import OutgoingRecord, Sink
from services.importers import positions, quality
from services.importers.formats import Asked, Chosen, chosen, reading_stdin
from services.importers.places import File
from services.importers.positions import Position
from services.importers.readers import Reading, reading
from services.importers.rejects import Rejects, beside
from services.importers.rows import Flag, Refused, Rejected, Row, message
from services.importers.submit import Counts, Stop, submit


@dataclass(frozen=True)
class Observer:
    """Callbacks of a run."""

    opened: Callable[[str, str, int], None] = lambda name, format, line: None
    """Called when a file is opened, with its format and the line after which reading starts."""
    progress: Callable[[float | None, Counts], None] = lambda fraction, counts: None
    """Called with the share that has been read (0 to 1, None if unknown) and the counts of this run."""
    rejected: Callable[[Rejected], None] = lambda row: None
    flagged: Callable[[Flag], None] = lambda flag: None
    """Called for each question that is submitted and flagged."""
    warned: Callable[[str], None] = lambda why: None


@dataclass(frozen=True)
class Result:
    """The outcome of a file, or of a topic."""

    name: str
    state: Literal["done", "already", "stopped", "refused"]
    """`already`: an earlier run submitted all of it. `refused`: no row was submitted."""
    why: str | None = None
    """The reason why it is refused."""
    format: str | None = None
    after_line: int = 0
    """The line up to which an earlier run submitted it."""
    submitted: int = 0
    """In this run."""
    rejected: int = 0
    """In this run."""
    flagged: int = 0
    """Submitted questions that are flagged."""
    rejected_file: str | None = None
    """The file with the rejected rows of all runs."""


async def submit_file(file: File, asked: Asked, cluster: str, sink: Sink, *, observer: Observer, stop: Stop) -> Result:
    """Submit the rows after the file's position. Raises OSError, and BrokerAway: the next run resumes."""
    name, kept = str(file), beside(file)
    position = positions.begin(file, cluster=cluster, asked=str(asked))
    if position.done:
        where = str(kept) if position.rejected else None
        return Result(name, "already", after_line=position.line, rejected_file=where)
    try:
        how = chosen(file, asked)
        _opened(observer, name, how, position.line)
        rejects = Rejects(kept, keep=position.rejected_bytes, on_row=observer.rejected)
        try:
            with reading(file, how.shape) as read:
                run = _Run(file, position, read, rejects, observer)
                counts = await submit(
                    run.messages(how, asked),
                    sink,
                    on_rejected=rejects.take,
                    on_progress=run.confirmed,
                    stop=stop,
                )
        finally:
            rejects.close()
    except Refused as refused:
        return _refused(name, refused, observer)
    if not stop:
        run.ended()
    return Result(
        name,
        "stopped" if stop else "done",
        format=how.name,
        after_line=position.line,
        submitted=counts.submitted,
        rejected=counts.rejected,
        flagged=run.flagged,
        rejected_file=str(kept) if position.rejected + counts.rejected else None,
    )


async def submit_stdin(asked: Asked, sink: Sink, rejects: Rejects, *, observer: Observer, stop: Stop) -> Result:
    """Submit standard input, which has no position. Raises BrokerAway."""
    flags: list[Flag] = []

    def flagged(flag: Flag) -> None:
        flags.append(flag)
        observer.flagged(flag)

    try:
        with reading_stdin(asked) as (how, read):
            _opened(observer, "-", how, 0)
            counts = await submit(
                (
                    message(row, how.parse, asked.recipe_id, lane=asked.lane, check=quality.check, flagged=flagged)
                    for row in read.rows
                ),
                sink,
                on_rejected=rejects.take,
                on_progress=lambda counts: observer.progress(None, counts),
                stop=stop,
            )
    except Refused as refused:
        return _refused("-", refused, observer)
    finally:
        rejects.close()
    return Result(
        "-",
        "stopped" if stop else "done",
        format=how.name,
        submitted=counts.submitted,
        rejected=counts.rejected,
        flagged=len(flags),
        rejected_file=str(rejects.path) if counts.rejected else None,
    )


class _Run:
    """The rows of a file, and the number that is confirmed."""

    def __init__(self, file: File, begun: Position, read: Reading, rejects: Rejects, observer: Observer) -> None:
        self.flagged = 0
        self._file = file
        self._begun = begun
        self._now = begun
        self._read = read
        self._rejects = rejects
        self._observer = observer
        self._line = begun.line
        self._warned = False

    def messages(self, how: Chosen, asked: Asked) -> Iterator[OutgoingRecord | Rejected]:
        """The records and rejections of the rows after the position."""
        for row in self._read.rows:
            if (line := _number(row)) > self._begun.line:
                self._line = line
                yield message(row, how.parse, asked.recipe_id, lane=asked.lane, check=quality.check, flagged=self._flag)

    def confirmed(self, counts: Counts) -> None:
        """All rows that were read so far are confirmed by Kafka or rejected."""
        self._keep(
            self._begun.model_copy(
                update={
                    "line": self._line,
                    "submitted": self._begun.submitted + counts.submitted,
                    "rejected": self._begun.rejected + counts.rejected,
                    "rejected_bytes": self._rejects.flush(),
                }
            )
        )
        self._observer.progress(self._read.fraction(), replace(counts, flagged=self.flagged))

    def ended(self) -> None:
        """The file's end has been reached."""
        self._keep(self._now.model_copy(update={"done": True}))

    def _flag(self, flag: Flag) -> None:
        self.flagged += 1
        self._observer.flagged(flag)

    def _keep(self, position: Position) -> None:
        self._now = position
        try:
            positions.keep(self._file, position)
        except OSError as error:  # the folder may be read-only
            if not self._warned:
                self._observer.warned(
                    f"cannot save the position in {self._file}: an interrupted run starts over: {error}"
                )
            self._warned = True


def _opened(observer: Observer, name: str, how: Chosen, line: int) -> None:
    observer.opened(name, how.name, line)
    if how.shape.notice:
        observer.warned(f"{name}: {how.shape.notice}")


def _number(row: Row) -> int:
    assert isinstance(row.line, int)
    return row.line


def _refused(name: str, refused: Refused, observer: Observer) -> Result:
    observer.warned(f"{name}: {refused}")
    return Result(name, "refused", why=str(refused))

"""A file of questions into Kafka: read as its format is, from where it stands to its end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Literal

from services.core.messages import OutgoingRecord, Sink
from services.importers import positions
from services.importers.columns import Columns
from services.importers.formats import AUTO, LOOK, chosen, of_stream, stream_container
from services.importers.positions import Position
from services.importers.readers import Reading, reading
from services.importers.rejects import Rejects, beside
from services.importers.rows import Parse, Refused, Rejected, Row, message
from services.importers.submit import Counts, Stop, submit


@dataclass(frozen=True)
class Asked:
    """How files are to be read."""

    format: str = AUTO
    columns: Columns = field(default_factory=dict)
    recipe_id: str | None = None

    def __str__(self) -> str:
        names = ",".join(f"{name}={column}" for name, column in sorted(self.columns.items()))
        return " ".join([self.format, names, self.recipe_id or "current"])


@dataclass(frozen=True)
class Ears:
    """Who hears of what happens."""

    opened: Callable[[str, str, int], None] = lambda name, format, line: None
    """A file is read, in this format, from after this line."""
    progress: Callable[[float | None, Counts], None] = lambda fraction, counts: None
    """How much of it has been read, from 0 to 1 where that is known; and of this run, what became of it."""
    rejected: Callable[[Rejected], None] = lambda row: None
    trouble: Callable[[str], None] = lambda why: None


@dataclass(frozen=True)
class Result:
    """What became of a file, or of a topic."""

    name: str
    state: Literal["done", "already", "stopped", "refused"]
    """`already`: an earlier run has submitted all of it. `refused`: no row of it was taken."""
    why: str | None = None
    """It is refused."""
    format: str | None = None
    after_line: int = 0
    """Up to here an earlier run had it."""
    submitted: int = 0
    """In this run."""
    rejected: int = 0
    """In this run."""
    rejected_file: str | None = None
    """Where the rejected rows of all runs are."""


async def take(file: Path, asked: Asked, cluster: str, sink: Sink, *, ears: Ears, stop: Stop) -> Result:
    """Submit what of the file isn't in yet. Raises BrokerAway: the next run goes on from there; OSError."""
    name, kept = str(file), beside(file)
    position = positions.begin(file, cluster=cluster, asked=str(asked))
    if position.done:
        where = str(kept) if position.rejected else None
        return Result(name, "already", after_line=position.line, rejected_file=where)
    try:
        how = chosen(file, asked.format, asked.columns)
        ears.opened(name, how.format.name, position.line)
        rejects = Rejects(kept, keep=position.rejected_bytes, tell=ears.rejected)
        try:
            with reading(file, how.container) as read:
                run = _Run(file, position, read, rejects, ears)
                counts = await submit(
                    run.messages(how.parse, asked.recipe_id),
                    sink,
                    on_rejected=rejects.take,
                    on_progress=run.confirmed,
                    stop=stop,
                )
        finally:
            rejects.close()
    except Refused as refused:
        return _refused(name, refused, ears)
    if not stop:
        run.ended()
    return Result(
        name,
        "stopped" if stop else "done",
        format=how.format.name,
        after_line=position.line,
        submitted=counts.submitted,
        rejected=counts.rejected,
        rejected_file=str(kept) if position.rejected + counts.rejected else None,
    )


async def take_stream(asked: Asked, sink: Sink, rejects: Rejects, *, ears: Ears, stop: Stop) -> Result:
    """Submit standard input, which leaves no position behind. Raises BrokerAway."""
    try:
        container = stream_container(asked.format)
        with reading(None, container) as read:
            head = list(islice(read.rows, LOOK))
            how = of_stream("-", asked.format, asked.columns, container, head)
            ears.opened("-", how.format.name, 0)
            counts = await submit(
                (message(row, how.parse, asked.recipe_id) for row in chain(head, read.rows)),
                sink,
                on_rejected=rejects.take,
                on_progress=lambda counts: ears.progress(None, counts),
                stop=stop,
            )
    except Refused as refused:
        return _refused("-", refused, ears)
    finally:
        rejects.close()
    return Result(
        "-",
        "stopped" if stop else "done",
        format=how.format.name,
        submitted=counts.submitted,
        rejected=counts.rejected,
        rejected_file=str(rejects.path) if counts.rejected else None,
    )


class _Run:
    """A file's rows on their way, and how far they are."""

    def __init__(self, file: Path, begun: Position, read: Reading, rejects: Rejects, ears: Ears) -> None:
        self._file = file
        self._begun = begun
        self._now = begun
        self._read = read
        self._rejects = rejects
        self._ears = ears
        self._line = begun.line
        self._told = False

    def messages(self, parse: Parse, recipe_id: str | None) -> Iterator[OutgoingRecord | Rejected]:
        """What the rows after the position come to."""
        for row in self._read.rows:
            if (line := _number(row)) > self._begun.line:
                self._line = line
                yield message(row, parse, recipe_id)

    def confirmed(self, counts: Counts) -> None:
        """All that has been read so far is in Kafka, or among the rejected."""
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
        self._ears.progress(self._read.fraction(), replace(counts))

    def ended(self) -> None:
        """The file's end has been reached."""
        self._keep(self._now.model_copy(update={"done": True}))

    def _keep(self, position: Position) -> None:
        self._now = position
        try:
            positions.keep(self._file, position)
        except OSError as error:  # a folder to which nothing can be written is no reason to take no questions from it
            if not self._told:
                self._ears.trouble(f"a run that is interrupted will begin {self._file} anew: {error}")
            self._told = True


def _number(row: Row) -> int:
    assert isinstance(row.line, int)
    return row.line


def _refused(name: str, refused: Refused, ears: Ears) -> Result:
    ears.trouble(f"{name}: {refused}")
    return Result(name, "refused", why=str(refused))

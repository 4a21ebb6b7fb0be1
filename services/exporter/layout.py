"""The exporter's two tables: which topics they are written from, and how."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from services.contracts.base import CallId
from services.contracts.topics import CASE_ACCEPTED, CASE_REJECTED, RECORD_COMPLETED, both_lanes
from services.core.messages import ConsumedRecord
from services.exporter import path_rows, rows
from services.exporter.path_schema import PATH_SCHEMA
from services.exporter.rows import Exported
from services.exporter.schema import SCHEMA


@dataclass(frozen=True)
class Layout:
    """A table."""

    name: str
    group: str
    """The consumer group that writes it."""
    topics: tuple[str, ...]
    schema: pa.Schema
    """The first columns have statistics in the log."""
    identity: str
    """The column by which a repeated message is known."""
    unique: str
    """The column of ids that no two rows share after a compaction."""
    export: Callable[[ConsumedRecord, Mapping[CallId, str]], Exported]
    """The rows of a message, given the thinking of its calls. Raises Dead."""
    letters: bool
    """Whether a message that can't be read becomes a dead letter. One of a case would count as the case's end: its own
    readers write it."""
    inside: str = ""
    """The folder within the dataset. Tools for Delta tables ignore names that begin with an underscore, also when they
    delete files that the outer table doesn't name."""

    def uri(self, dataset: str) -> str:
        """Where the table of a dataset is."""
        return f"{dataset.rstrip('/')}/{self.inside}" if self.inside else dataset


RECORDS = Layout(
    name="records",
    group="exporter",
    topics=(RECORD_COMPLETED,),
    schema=SCHEMA,
    identity="record_id",
    unique="record_id",
    export=lambda received, thinking: rows.export(received),
    letters=True,
)
PATHS = Layout(
    name="paths",
    group="exporter-paths",
    topics=both_lanes(CASE_ACCEPTED, CASE_REJECTED),
    schema=PATH_SCHEMA,
    identity="work_id",
    unique="path_id",
    export=path_rows.export,
    letters=False,
    inside="_paths",
)

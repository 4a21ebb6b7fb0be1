"""The dataset as a Delta table: one commit per part, with its partition's next offset.

Delta keeps a version for each application id (the `txn` action). Ours is `TOPIC/PARTITION`, and its version
is the partition's next offset: the log refuses the commit of an overtaken writer.
"""

import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.fs as fs
from deltalake import CommitProperties, DeltaTable, QueryBuilder, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from services.core.errors import Trouble
from services.core.messages import TopicPartition
from services.exporter.layout import Layout
from services.exporter.rows import Row
from services.exporter.schema import INDEXED

ROW_GROUP = 1_000
"""Rows of a row group: about 8 MB, which a reader holds at a time."""
WRITER = WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP)
PROPERTIES = {
    "delta.dataSkippingNumIndexedCols": str(INDEXED),
    "delta.checkpointInterval": "100",
    "delta.logRetentionDuration": "interval 30 days",
}
"""Statistics only for columns by which readers skip files; checkpoints save readers from reading every commit."""
FORMER = "manifest-*.json"
"""Files of the former format."""


class BadTable(Trouble):
    """The dataset cannot be written, or is not ours. Nothing was changed."""


class PartitionLost(Exception):
    """Another writer has committed to this partition."""


def table_uri(out: str | Path) -> str:
    """A folder as an absolute path; s3://, gs:// and az:// as they are."""
    text = str(out)
    return text if "://" in text else str(Path(text).absolute())


def is_local(uri: str) -> bool:
    """Whether a dataset is in a folder of this machine."""
    return "://" not in uri


class Table:
    """A writer's view of the table. One per process, used by one thread at a time."""

    def __init__(self, table: DeltaTable, layout: Layout) -> None:
        self._table = table
        self.layout = layout

    @classmethod
    def open(cls, uri: str, layout: Layout) -> Self:
        """Open the table; create it where there is none. Raises BadTable, DeltaError, OSError."""
        if is_local(uri):
            folder = Path(uri)
            if not (folder / "_delta_log").exists() and any(folder.glob(FORMER)):
                raise BadTable(
                    f"{uri} holds a dataset of the former format: run `reasonmed dataset import {uri}` once, or "
                    "export into a new folder"
                )
        return cls.create(uri, layout)

    @classmethod
    def create(cls, uri: str, layout: Layout) -> Self:
        """Open the table whatever else is in the folder; create it where there is none. Raises DeltaError, OSError."""
        if is_local(uri):
            Path(uri).mkdir(parents=True, exist_ok=True)
        return cls(_created(uri, layout), layout)

    def next_offset(self, partition: TopicPartition) -> int:
        """The current next offset in the log. Raises DeltaError, OSError."""
        self._table.update_incremental()
        return self._committed(partition)

    def ids(self, partition: TopicPartition, from_offset: int) -> Iterator[pa.RecordBatch]:
        """Batches of identity, `content_digest` and `contract` of this partition's rows from an offset on."""
        where = [f"kafka_partition = {partition.partition}", f"kafka_offset >= {from_offset}"]
        if len(self.layout.topics) > 1:
            where.append(f"kafka_topic = '{partition.topic}'")
        query = f"SELECT {self.layout.identity}, content_digest, contract FROM stored WHERE {' AND '.join(where)}"  # noqa: S608
        # Half of the CPU time of pyarrow.dataset, which imports pandas where that is installed.
        return map(pa.record_batch, QueryBuilder().register("stored", self._table).execute(query))

    def append(
        self,
        rows: Sequence[Row],
        partition: TopicPartition,
        *,
        expected: int,
        next_offset: int,
        notes: Mapping[str, str],
    ) -> None:
        """Commit rows with the partition's next offset, atomically. `expected`: the offset from which the writer
        continues. Raises PartitionLost if the log has another one; DeltaError, OSError."""
        if self._committed(partition) != expected:
            raise PartitionLost(str(partition))
        commit = CommitProperties(
            app_transactions=[Transaction(str(partition), next_offset)], custom_metadata=dict(notes)
        )
        try:
            if rows:
                write_deltalake(
                    self._table,
                    pa.RecordBatchReader.from_batches(self.layout.schema, self._batches(rows)),
                    mode="append",
                    schema_mode="merge",
                    writer_properties=WRITER,
                    commit_properties=commit,
                )
            else:
                self._table.create_write_transaction(
                    [], mode="append", schema=self._table.schema(), commit_properties=commit
                )
                self._table.update_incremental()  # unlike write_deltalake, it leaves the view as it was
        except CommitFailedError as error:
            self._table.update_incremental()
            if self._committed(partition) != expected:
                raise PartitionLost(str(partition)) from error
            raise

    def _batches(self, rows: Sequence[Row]) -> Iterator[pa.RecordBatch]:
        """One row group at a time, so that a part is not held twice."""
        for start in range(0, len(rows), ROW_GROUP):
            yield pa.RecordBatch.from_pylist(list(rows[start : start + ROW_GROUP]), schema=self.layout.schema)

    def _committed(self, partition: TopicPartition) -> int:
        return self._table.transaction_version(str(partition)) or 0


def check_conditional_writes(uri: str) -> None:
    """Let two writers of one partition commit to a temporary table: exactly one may win.

    A store that ignores conditional writes accepts both, and would lose records. Raises BadTable,
    DeltaError, OSError.
    """
    beside = f"{uri.rstrip('/')}/_probe-{uuid.uuid4().hex}"
    schema = pa.schema([("n", pa.int64())])
    try:
        DeltaTable.create(beside, schema)
        first, second = DeltaTable(beside), DeltaTable(beside)
        for writer, table in enumerate((first, second)):
            commit = CommitProperties(app_transactions=[Transaction("probe", 1)], max_commit_retries=0)
            try:
                table.create_write_transaction([], mode="append", schema=table.schema(), commit_properties=commit)
            except CommitFailedError:
                if writer == 1:
                    return
                raise
    finally:
        _remove(beside)
    raise BadTable(
        f"the store of {uri} does not do conditional writes (If-None-Match): two exporters would overwrite each other. "
        "Use one that does: S3, GCS, Azure, MinIO, SeaweedFS, or a folder"
    )


def _remove(uri: str) -> None:
    if is_local(uri):
        shutil.rmtree(uri, ignore_errors=True)
    else:
        store = fs.PyFileSystem(DeltaStorageHandler(uri))
        for file in store.get_file_info(fs.FileSelector("", recursive=True)):
            if file.type == fs.FileType.File:
                store.delete_file(file.path)


def _created(uri: str, layout: Layout) -> DeltaTable:
    try:
        return DeltaTable(uri)
    except TableNotFoundError:
        pass
    try:
        return DeltaTable.create(uri, layout.schema, mode="ignore", name=layout.name, configuration=PROPERTIES)
    except DeltaError:  # another exporter created it meanwhile
        return DeltaTable(uri)

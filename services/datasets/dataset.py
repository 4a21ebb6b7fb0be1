"""Read access to the dataset, for export, SQL, evaluation, audit and tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import duckdb
import orjson
import pyarrow as pa
import pyarrow.dataset as pads
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from services.core.errors import Trouble
from services.core.messages import TopicPartition
from services.exporter.layout import RECORDS, Layout
from services.exporter.table import is_local, table_uri


class BadDataset(Trouble):
    """The dataset cannot be read. The text has the reason."""


@dataclass(frozen=True)
class Dataset:
    """A version of a table. Writers may continue; Delta keeps its files for a week after a compaction."""

    uri: str
    layout: Layout
    _table: DeltaTable | None

    @classmethod
    def open(cls, where: str | Path, layout: Layout = RECORDS) -> Self:
        """Open the current version of a dataset's table; an empty one if there is none yet. Raises BadDataset."""
        uri = layout.uri(table_uri(where))
        try:
            return cls(uri, layout, DeltaTable(uri))
        except TableNotFoundError:
            return cls(uri, layout, None)
        except (DeltaError, OSError) as error:
            raise BadDataset(f"can't read the dataset in {uri}: {error}") from error

    @property
    def exists(self) -> bool:
        """Whether there is a table."""
        return self._table is not None

    @property
    def files(self) -> list[str]:
        """The Parquet files of this version."""
        return [] if self._table is None else sorted(self._table.file_uris())

    def schema(self) -> pa.Schema:
        """The table's columns, with their descriptions."""
        return self.layout.schema if self._table is None else pa.schema(self._table.schema().to_arrow())

    def positions(self) -> dict[TopicPartition, int]:
        """The next offset by partition, of every partition up to the last that has a row."""
        if self._table is None:
            return {}
        last = pa.table(self._table.get_add_actions(flatten=True)).to_pydict().get("max.kafka_partition", [])
        numbers = range(1 + max((number for number in last if number is not None), default=-1))
        keys = [TopicPartition(topic, number) for topic in self.layout.topics for number in numbers]
        found = {key: self._table.transaction_version(str(key)) for key in keys}
        return {key: offset for key, offset in found.items() if offset is not None}

    def watermark(self) -> dict[str, int]:
        """The positions as text: by partition, or by topic/partition in a table of several topics."""
        several = len(self.layout.topics) > 1
        return {str(key if several else key.partition): offset for key, offset in self.positions().items()}

    def create_view(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        """Make the rows a view of DuckDB, which reads by row group. Raises duckdb.Error."""
        if not self.files:
            connection.register(f"{name}_empty", self.layout.schema.empty_table())
            connection.execute(f"CREATE VIEW {name} AS FROM {name}_empty")
        elif is_local(self.uri):
            connection.read_parquet(self.files, union_by_name=True).create_view(name)
        else:
            connection.register(name, self._rows())

    def batches(self, columns: Sequence[str], *, size: int = 1_024) -> Iterator[pa.RecordBatch]:
        """These columns of every row, in no particular order."""
        if self._table is not None:
            yield from self._rows().to_batches(
                columns=list(columns), batch_size=size, batch_readahead=2, fragment_readahead=1
            )

    def table(self) -> pa.Table:
        """All rows in memory, by partition and offset."""
        if self._table is None:
            return self.layout.schema.empty_table()
        found = self._rows().to_table()
        return found.sort_by([("kafka_partition", "ascending"), ("kafka_offset", "ascending")])

    def _rows(self) -> pads.Dataset:
        """The records as pyarrow reads them. A local file is read by pyarrow itself: threads in
        deltalake's Python file system can abort the process at its exit."""
        assert self._table is not None, "a table without files has no rows"
        if is_local(self.uri):
            return pads.dataset(self.files, schema=self.schema(), format="parquet")
        return self._table.to_pyarrow_dataset()

    def commits(self) -> list[dict[str, Any]]:
        """The exporters' commit notes, newest first: `partition`, `offsets`, `dropped`."""
        history = [] if self._table is None else self._table.history()
        return [
            {
                "partition": int(each["reasonmed.partition"]),
                "offsets": each["reasonmed.offsets"],
                "dropped": orjson.loads(each["reasonmed.dropped"]),
            }
            for each in history
            if "reasonmed.partition" in each
        ]


def read_dataset(where: str | Path) -> pa.Table:
    """All records of a dataset in memory, by partition and offset. Raises BadDataset."""
    return Dataset.open(where).table()

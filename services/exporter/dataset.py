"""The dataset as its readers see it."""

from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from services.exporter.manifest import Manifest
from services.exporter.schema import SCHEMA


def manifests(folder: str | Path) -> list[Manifest]:
    """Every partition's manifest in the folder, by partition. May be read while exporters write."""
    found = (Manifest.model_validate_json(path.read_bytes()) for path in Path(folder).glob("manifest-*.json"))
    return sorted(found, key=lambda manifest: manifest.partition)


def dataset_files(folder: str | Path) -> list[Path]:
    """The parts that count, by partition and offset: what to give DuckDB or pyarrow.dataset for large datasets."""
    return [Path(folder) / part.name for manifest in manifests(folder) for part in manifest.parts]


def read_dataset(folder: str | Path) -> pa.Table:
    """All records that the manifests name, in memory, by partition and offset; no rows where there are none. Parts that
    no manifest names (left by a kill, or being written) are not read."""
    tables = [pq.read_table(path) for path in dataset_files(folder)]
    return pa.concat_tables([SCHEMA.empty_table(), *tables], promote_options="default")

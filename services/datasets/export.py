"""An export from beginning to end: whole, or not at all."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import duckdb
import orjson
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from services.core.errors import Trouble
from services.datasets.card import card
from services.datasets.forms import shaped
from services.datasets.parts import THREADS, NothingToExport, Parts, opened, part_files
from services.datasets.shards import JSONL, PARQUET, SHARD_BYTES, Shards
from services.datasets.staging import BATCH, stage, staged
from services.datasets.summary import Request, Summary, summarize

MARK = "export.json"
"""The summary; a folder that has it was written by us, and is replaced."""

Progress = Callable[[int, int], None]
"""Is told the steps done, and of how many."""


class ExportFailed(Trouble):
    """The parts can't be read, or the folder can't be written. What was there before is as it was."""


def export(
    request: Request,
    parts: Path,
    out: Path,
    *,
    on_progress: Progress = lambda done, total: None,
    threads: int = THREADS,
    shard_bytes: int = SHARD_BYTES,
) -> Summary:
    """Write the dataset that is asked for out of the parts in a folder, which exporters may go on writing.

    `out` is replaced in one rename at the end. Beside it, twice the records' size is needed meanwhile. A process that
    is killed leaves that as `.OUT-…`, to be deleted. Raises NothingToExport, BadFolder, ExportFailed, OSError.
    """
    files = part_files(parts)
    _check_replaceable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as aside:
        made = Path(aside) / "made"
        for folder in (made / PARQUET, made / JSONL, Path(aside) / "buckets"):
            folder.mkdir(parents=True)
        try:
            with opened(files, request.filters, request.splits, spill=Path(aside) / "spill", threads=threads) as source:
                summary = _write(request, source, made, Path(aside) / "buckets", on_progress, shard_bytes)
        except duckdb.Error as error:
            raise ExportFailed(f"DuckDB can't read the parts in {parts}: {error}") from error
        if out.exists():
            out.rename(Path(aside) / "before")
        made.rename(out)
    return summary


def _write(
    request: Request, source: Parts, made: Path, buckets: Path, on_progress: Progress, shard_bytes: int
) -> Summary:
    _check_known("source", [*request.filters.sources, *request.licences], source.values("source"))
    _check_known("recipe", request.filters.recipes, source.values("recipe_id"))
    groups = source.groups()
    total = 2 * sum(group.records for group in groups)
    if not total:
        raise NothingToExport("no record passes all the filters: leave one out")
    query = shaped(request.variant, request.form, lineage=request.lineage, chosen=source.chosen)
    reader = source.connection.sql(query, params=source.parameters).to_arrow_reader(BATCH)
    for done in stage(reader, buckets):
        on_progress(done, total)
    schema = pa.schema([field for field in reader.schema if field.name not in ("key", "split")])
    with ExitStack() as files:
        shards = {name: Shards(made, name, schema, shard_bytes=shard_bytes) for name in request.splits.names}
        for one in shards.values():
            files.callback(one.abandon)
        for table in staged(buckets):
            for name, one in shards.items():
                one.write(table.filter(pc.equal(table["split"], name)).select(schema.names))
            done += table.num_rows
            on_progress(done, total)
        for one in shards.values():
            one.close()
    summary = summarize(request, groups, source.questions(), {name: one.count for name, one in shards.items()})
    (made / "README.md").write_text(card(summary, schema), encoding="utf-8")
    (made / MARK).write_bytes(orjson.dumps(asdict(summary), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return summary


def _check_replaceable(out: Path) -> None:
    if out.exists() and not (out / MARK).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ExportFailed(f"{out} is not empty, and no export wrote it: name another folder")


def _check_known(what: str, named: list[str] | tuple[str, ...], known: set[str]) -> None:
    if unknown := sorted(set(named) - known):
        there = ", ".join(sorted(known)) or "none"
        raise NothingToExport(f"no record has {what} {', '.join(unknown)}; there are: {there}")

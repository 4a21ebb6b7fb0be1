"""Runs an export, atomically."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import duckdb
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from services.core.errors import Trouble
from services.datasets.card import card
from services.datasets.dataset import Dataset
from services.datasets.forms import lineage_columns, read_columns, shaped, trainer_columns, untyped_columns
from services.datasets.llamafactory import dataset_info
from services.datasets.names import Form, path_form
from services.datasets.records import THREADS, NothingToExport, Records, opened
from services.datasets.shards import SHARD_BYTES, Shards
from services.datasets.staging import BATCH, stage, staged
from services.datasets.summary import Counts, Request, Summary, summarize
from services.exporter.layout import PATHS, RECORDS

MARK = "export.json"
"""The summary file; a folder with it is an export, and may be replaced."""

_NO_RECORDS = "{} holds no records: name the folder or URL that the exporter writes to"
_NO_PATHS = (
    "{} holds no judged paths. An exporter writes them unless REASONMED_EXPORT__PATHS is false: start one, it begins "
    "with the oldest case that case-accepted and case-rejected still have"
)
_NO_STEPS = "no chosen record says which steps are right: use a recipe with `verdict: steps`, or fewer filters"

Progress = Callable[[int, int], None]
"""Called with the steps done, and the total."""


class ExportFailed(Trouble):
    """The records cannot be read, or the folder cannot be written. An existing export is unchanged."""


def export(
    request: Request,
    source: str | Path,
    out: Path,
    *,
    on_progress: Progress = lambda done, total: None,
    threads: int = THREADS,
    shard_bytes: int = SHARD_BYTES,
) -> Summary:
    """Write the requested dataset from the records in a folder or at a URL, to which exporters may write meanwhile.

    `out` is replaced in one rename at the end. Until then, twice the records' size is needed beside it. A process that
    is killed leaves `.OUT-…`, to be deleted. Raises NothingToExport, BadDataset, ExportFailed, OSError.
    """
    dataset = Dataset.open(source, RECORDS if path_form(request.form) is None else PATHS)
    if not dataset.files:
        raise NothingToExport(_NO_PATHS.format(source) if dataset.layout is PATHS else _NO_RECORDS.format(source))
    if request.form == "prm" and "step_ends" not in dataset.schema().names:
        raise NothingToExport(_NO_STEPS)
    _check_replaceable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as aside:
        made, buckets = Path(aside) / "made", Path(aside) / "buckets"
        made.mkdir()
        buckets.mkdir()
        try:
            with opened(
                dataset,
                request.filters,
                request.splits,
                request.held_out,
                request.form,
                spill=Path(aside) / "spill",
                threads=threads,
            ) as records:
                summary = _write(request, records, dataset.watermark(), made, buckets, on_progress, shard_bytes)
        except duckdb.Error as error:
            raise ExportFailed(f"DuckDB can't read the records in {source}: {error}") from error
        if out.exists():
            out.rename(Path(aside) / "before")
        made.rename(out)
    return summary


def _write(
    request: Request,
    records: Records,
    watermark: dict[str, int],
    made: Path,
    buckets: Path,
    on_progress: Progress,
    shard_bytes: int,
) -> Summary:
    _check_known("source", [*request.filters.sources, *request.licences], records.values("source"))
    _check_known("recipe", request.filters.recipes, records.values("recipe_id"))
    groups, questions = records.groups(), records.questions()
    each: Literal["question", "record"] = "question" if request.form == "rl" else "record"
    total = sum(questions.values()) if each == "question" else sum(group.records for group in groups)
    if not total:
        raise NothingToExport(_nothing(request.form))
    lineage = lineage_columns(request.form) if request.lineage else pa.schema([])
    rows = shaped(
        records.read(read_columns(request.form, lineage), each=each, batch=BATCH),
        request.form,
        request.variant,
        system=request.system,
        lineage=lineage,
    )
    for done in stage(rows, buckets):
        on_progress(done, 2 * total)
    schema = pa.unify_schemas([trainer_columns(request.form, system=request.system), lineage])
    written = dict.fromkeys(request.splits.names, 0)
    with ExitStack() as files:
        shards = {
            name: Shards(made, name, schema, not_in_json=untyped_columns(schema), shard_bytes=shard_bytes)
            for name in request.splits.names
        }
        for one in shards.values():
            files.callback(one.abandon)
        for table in staged(buckets):
            for name, one in shards.items():
                of_it = table.filter(pc.equal(table["split"], name)).select(schema.names)
                written[name] += of_it.num_rows
                one.write(of_it)
            done += table.num_rows
            on_progress(done, 2 * total)
        for one in shards.values():
            one.close()
    counts = Counts(
        groups=groups,
        questions=questions,
        held_out=records.held_out(),
        rows=written,
        shards={name: one.count for name, one in shards.items()},
        watermark=watermark,
        spared=records.spared(),
    )
    summary = summarize(request, counts)
    _describe(summary, schema, made)
    return summary


def _nothing(form: Form) -> str:
    match form:
        case "prm":
            return _NO_STEPS
        case "dpo":
            return "no question has both a right and a wrong path that pass the filters: leave one out"
        case "kto" | "verifier":
            return "no path passes all the filters: leave one out"
        case _:
            return "no record passes all the filters: leave one out"


def _describe(summary: Summary, schema: pa.Schema, made: Path) -> None:
    (made / "README.md").write_text(card(summary, schema), encoding="utf-8")
    (made / MARK).write_bytes(_json(asdict(summary)))
    if info := dataset_info(summary):
        (made / "dataset_info.json").write_bytes(_json(info))


def _json(data: object) -> bytes:
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _check_replaceable(out: Path) -> None:
    if out.exists() and not (out / MARK).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ExportFailed(f"{out} is not empty, and no export wrote it: name another folder")


def _check_known(what: str, named: list[str] | tuple[str, ...], known: set[str]) -> None:
    if unknown := sorted(set(named) - known):
        there = ", ".join(sorted(known)) or "none"
        raise NothingToExport(f"no record has {what} {', '.join(unknown)}; there are: {there}")

"""The dataset card: README.md as the Hugging Face hub and `datasets` read it."""

from collections.abc import Iterable
from typing import Any, get_args

import pyarrow as pa  # type: ignore[import-untyped]
import yaml

from services.contracts.case import Difficulty
from services.datasets.shards import JSONL, PARQUET
from services.datasets.summary import Summary
from services.exporter.schema import SCHEMA

_HOLDS = {
    "CoTMed": "the chain of thought",
    "ResponseMed": "the summary of the chain of thought",
    "ReasonMed": "the chain of thought, then its summary",
}
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
"""The hub's own names."""


def card(summary: Summary, schema: pa.Schema) -> str:
    """The whole README.md of a dataset with rows of this schema."""
    front = yaml.safe_dump(_front(summary, schema), sort_keys=False, allow_unicode=True)
    sections = [_about(summary), _counts(summary), _sources(summary), _recipes(summary), _costs(summary)]
    return "\n".join(["---", f"{front}---", "", *sections, _columns(schema)])


def _front(summary: Summary, schema: pa.Schema) -> dict[str, Any]:
    written = {name: split for name, split in summary.splits.items() if split.records}
    return {
        "pretty_name": summary.variant,
        "task_categories": ["question-answering", "text-generation"],
        "tags": ["medical", "reasoning", "chain-of-thought"],
        "size_categories": [next((name for below, name in _SIZES if summary.records < below), "n>10M")],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": name, "path": f"{PARQUET}/{name}-*.parquet"} for name in written],
            }
        ],
        "dataset_info": {
            "features": [_feature(field.name, field.type) for field in schema],
            "splits": [{"name": name, "num_examples": split.records} for name, split in written.items()],
        },
    }


def _feature(name: str, kind: pa.DataType) -> dict[str, Any]:
    """A column as the library's YAML has it."""
    if pa.types.is_list(kind):
        return {"name": name, "list": _item(kind.value_type)}
    return {"name": name, "dtype": "float64" if pa.types.is_float64(kind) else str(kind)}


def _item(kind: pa.DataType) -> Any:
    return [_feature(field.name, field.type) for field in kind] if pa.types.is_struct(kind) else str(kind)


def _about(summary: Summary) -> str:
    filters = summary.filters
    chosen = [
        f"difficulty {', '.join(filters.difficulties)}" if filters.difficulties else "",
        f"source {', '.join(filters.sources)}" if filters.sources else "",
        f"recipe {', '.join(filters.recipes)}" if filters.recipes else "",
        f"score at least {filters.min_score}" if filters.min_score is not None else "",
        "" if filters.disputed is None else f"gold answer {'' if filters.disputed else 'not '}disputed",
    ]
    said = "; ".join(part for part in chosen if part) or "every record"
    return f"""# {summary.variant}

{summary.records} records of medical multiple-choice questions. A question is answered with {_HOLDS[summary.variant]},
in the form `{summary.form}`. Every chain of thought was written by a language model and judged correct by one; no
physician has read them. Not for use in care.

    from datasets import load_dataset
    dataset = load_dataset("path/of/this/folder")

That reads `{PARQUET}/`; `{JSONL}/` holds the same rows as JSON lines, for trainers that want those.

Chosen: {said}.
"""


def _counts(summary: Summary) -> str:
    names: tuple[str, ...] = get_args(Difficulty)
    rows = (
        [name, f"{split.share:g}", split.questions, split.records, *(split.difficulties.get(n, 0) for n in names)]
        for name, split in summary.splits.items()
    )
    return f"""## Splits

By question: all records of a question are in one split, decided by the SHA-256 of the seed (`{summary.seed}`) and the
case id. A split without records has no files. {summary.disputed} records are of questions whose gold answer is
disputed: every path that states an answer states the same other one.

{_table(["split", "share", "questions", "records", *names], rows)}
"""


def _sources(summary: Summary) -> str:
    rows = (
        [name or "(none named)", count, summary.licences.get(name, "not stated")]
        for name, count in summary.sources.items()
    )
    return f"""## Sources of the questions

Licences are as stated by who made this export; where none is, find out before you publish. The models' own licences
may restrict what is trained on their output.

{_table(["source", "records", "licence"], rows)}
"""


def _recipes(summary: Summary) -> str:
    recipes = ([f"`{key}`", summary.recipe_names.get(key, ""), count] for key, count in summary.recipes.items())
    models = ([f"`{model}`", count] for model, count in summary.models.items())
    return f"""## Recipes and models

A recipe is all that decides a result: prompts, models, sampling, thresholds. `reasonmed recipes show ID` prints one.

{_table(["recipe", "name", "records"], recipes)}

{_table(["chain of thought by", "records"], models)}
"""


def _costs(summary: Summary) -> str:
    total = sum(summary.cost_usd.values())
    if not total:
        return "## Costs\n\nNot known: the recipes name no prices.\n"
    rows = ([stage, f"{cost:.6f}"] for stage, cost in summary.cost_usd.items())
    return f"""## Costs

USD, by the recipes' prices: these records' shares of what their cases cost. Cases that became no record are not in it.

{_table(["stage", "USD"], [*rows, ["all", f"{total:.6f}"]])}
"""


def _columns(schema: pa.Schema) -> str:
    known = {field.name: field.metadata[b"description"].decode() for field in SCHEMA}
    rows = [[f"`{name}`", known[name]] for name in schema.names if name in known]
    if not rows:
        return ""
    return f"## Columns of lineage\n\n{_table(['column', 'what it says'], rows)}\n"


def _table(head: list[str], rows: Iterable[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", "\\|").split())

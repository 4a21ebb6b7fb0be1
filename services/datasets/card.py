"""The dataset card: README.md as the Hugging Face hub and `datasets` read it."""

from collections.abc import Iterable
from typing import Any, assert_never, get_args

import pyarrow as pa
import yaml

from services.contracts.case import Difficulty
from services.datasets.names import OF_PATHS, Form, PathForm, Variant, counted, path_form
from services.datasets.shards import JSONL, PARQUET
from services.datasets.summary import HeldOutSummary, Summary
from services.exporter.path_schema import PATH_SCHEMA
from services.exporter.schema import SCHEMA

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
"""The hub's own names."""
_LICENCES = frozenset(
    """
    afl-3.0 apache-2.0 artistic-2.0 bsd-2-clause bsd-3-clause cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0
    cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
    cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 gfdl
    gpl-2.0 gpl-3.0 lgpl-3.0 mit mpl-2.0 odbl odc-by pddl unlicense
    """.split()  # noqa: SIM905 - a list of literals takes fifty lines
)
"""Licences that the hub has a name for; any other is `other`, and is named in the card's text."""


def card(summary: Summary, schema: pa.Schema) -> str:
    """The whole README.md of a dataset with rows of this schema."""
    front = yaml.safe_dump(_front(summary, schema), sort_keys=False, allow_unicode=True)
    sections = [
        _about(summary),
        _counts(summary),
        *([_held_out(summary.held_out)] if summary.held_out else []),
        _sources(summary),
        _recipes(summary),
        _costs(summary),
    ]
    return "\n".join(["---", f"{front}---", "", *sections, _columns(summary.form, schema)])


def _front(summary: Summary, schema: pa.Schema) -> dict[str, Any]:
    written = {name: split for name, split in summary.splits.items() if split.rows}
    rows = sum(split.rows for split in written.values())
    return {
        "pretty_name": _name(summary),
        "language": [summary.language],
        "license": _licences(summary),
        "task_categories": ["question-answering", "text-generation"],
        "tags": ["medical", "reasoning", "chain-of-thought", "synthetic"],
        "size_categories": [next((name for below, name in _SIZES if rows < below), "n>10M")],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": name, "path": f"{PARQUET}/{name}/*.parquet"} for name in written],
            }
        ],
        "dataset_info": {
            "features": [_feature(field.name, field.type) for field in schema],
            "splits": [{"name": name, "num_examples": split.rows} for name, split in written.items()],
        },
    }


def _name(summary: Summary) -> str:
    return f"ReasonMed {summary.form}" if summary.variant is None else summary.variant


def _licences(summary: Summary) -> list[str]:
    stated = (summary.licences.get(source, "unknown").lower() for source in summary.sources)
    return sorted({name if name in _LICENCES or name == "unknown" else "other" for name in stated})


def _feature(name: str, kind: pa.DataType) -> dict[str, Any]:
    """A column as the library's YAML has it."""
    if pa.types.is_list(kind):
        return {"name": name, "list": _item(kind.value_type)}
    if pa.types.is_struct(kind):
        return {"name": name, "struct": _item(kind)}
    return {"name": name, "dtype": "float64" if pa.types.is_float64(kind) else str(kind)}


def _item(kind: pa.DataType) -> Any:
    return [_feature(field.name, field.type) for field in kind] if pa.types.is_struct(kind) else str(kind)


_OF_PATHS: dict[PathForm, str] = {
    "dpo": "two chains of thought, of which a judge found one right and one wrong",
    "kto": "a chain of thought, with whether a judge found it right",
    "verifier": "a proposed chain of thought, which the completion checks: the judge's reason and verdict",
}


def _holds(form: Form, variant: Variant | None) -> str:
    match form:
        case "think":
            return "the chain of thought between `<think>` and `</think>`, then its summary"
        case "rl":
            return "nothing: a row has the question and the gold answer, for reinforcement learning"
        case "prm":
            return "the steps of a chain of thought and whether each is right, for process reward models"
        case "dpo" | "kto" | "verifier":
            return _OF_PATHS[form]
        case "messages" | "prompt-completion" | "sharegpt" | "alpaca":
            pass
        case _:
            assert_never(form)
    match variant:
        case "CoTMed":
            return "the chain of thought"
        case "ResponseMed":
            return "the summary of the chain of thought"
        case "ReasonMed" | None:
            return "the chain of thought, then its summary"
        case _:
            assert_never(variant)


def _judged(form: Form) -> str:
    written = "Every chain of thought was written by a language model and judged"
    if form == "prm":
        return f"{written} step by step by one. A row's steps are `completions`, and `labels` says which are right"
    if path_form(form) is not None:
        return f"{written} by one against the gold answer; what was judged to be in error is in the dataset too"
    return f"{written} correct by one"


def _about(summary: Summary) -> str:
    filters = summary.filters
    chosen = [
        f"difficulty {', '.join(filters.difficulties)}" if filters.difficulties else "",
        f"source {', '.join(filters.sources)}" if filters.sources else "",
        f"recipe {', '.join(filters.recipes)}" if filters.recipes else "",
        f"score at least {filters.min_score}" if filters.min_score is not None else "",
        "" if filters.disputed is None else f"gold answer {'' if filters.disputed else 'not '}disputed",
    ]
    criteria = "; ".join(part for part in chosen if part) or "every record"
    last_line = (
        "" if summary.form in ("rl", "prm", *OF_PATHS) else " The last line of each answer is `Final answer: X`."
    )
    return f"""# {_name(summary)}

{summary.records} {counted(summary.form)} of medical multiple-choice questions. A question is answered with
{_holds(summary.form, summary.variant)}, in the form `{summary.form}`.{last_line}

{_judged(summary.form)}; no physician has read them. Not for
use in care.

    from datasets import load_dataset
    dataset = load_dataset("path/of/this/folder")

That reads `{PARQUET}/`. `{JSONL}/` holds the same rows as JSON lines, without the columns that may be null or empty
(JSON has no types, and readers guess them from the first rows).

Selection: {criteria}.
"""


def _counts(summary: Summary) -> str:
    names: tuple[str, ...] = get_args(Difficulty)
    rows = (
        [name, f"{split.share:g}", split.questions, split.records, *(split.difficulties.get(n, 0) for n in names)]
        for name, split in summary.splits.items()
    )
    return f"""## Splits

By question: all records of a question are in one split, decided by the SHA-256 of the seed (`{summary.seed}`) and the
words of its stem. A split without records has no files. {summary.disputed} records are of questions whose gold answer
is disputed: every path that states an answer states the same other one.

{_table(["split", "share", "questions", "records", *names], rows)}
"""


def _held_out(held_out: HeldOutSummary) -> str:
    rows = ([name, count] for name, count in held_out.files.items())
    table = f"\n\n{_table(['evaluation file', 'questions left out'], rows)}" if held_out.files else ""
    return f"""## Held out

{held_out.questions} questions ({held_out.records} records) are left out: they are in the evaluation index
`{held_out.index}` (SHA-256 `{held_out.sha256}`).{table}
"""


def _sources(summary: Summary) -> str:
    rows = (
        [name or "(none named)", count, summary.licences.get(name, "not stated")]
        for name, count in summary.sources.items()
    )
    return f"""## Sources of the questions

Licences are those given to this export; find out those that are not stated before you publish. The models' own
licences may restrict what is trained on their output.

{_table(["source", "records", "licence"], rows)}
"""


def _recipes(summary: Summary) -> str:
    recipes = ([f"`{key}`", summary.recipe_names.get(key, ""), count] for key, count in summary.recipes.items())
    models = ([f"`{model}`", count] for model, count in summary.models.items())
    return f"""## Recipes and models

A recipe decides a result: prompts, models, sampling, thresholds. `reasonmed recipes show ID` prints one.

{_table(["recipe", "name", "records"], recipes)}

{_table(["chain of thought by", "records"], models)}
"""


def _costs(summary: Summary) -> str:
    return "\n".join([_spent(summary), *([_spared(summary)] if summary.spared else [])])


def _spared(summary: Summary) -> str:
    rows = ([f"by {by}", int(sums["calls"]), f"{sums['usd']:.6f}"] for by, sums in summary.spared.items())
    return f"""Calls that these records' cases did not need, and about what they would have cost:

{_table(["spared", "calls", "USD"], rows)}
"""


def _spent(summary: Summary) -> str:
    if path_form(summary.form) is not None:
        return "## Costs\n\nNot counted by path.\n"
    total = sum(summary.cost_usd.values())
    if not total:
        return "## Costs\n\nNot known: the recipes name no prices.\n"
    rows = ([stage, f"{cost:.6f}"] for stage, cost in summary.cost_usd.items())
    return f"""## Costs

USD, by the recipes' prices: these records' shares of what their cases cost. Cases without a record are not included.

{_table(["stage", "USD"], [*rows, ["all", f"{total:.6f}"]])}
"""


def _columns(form: Form, schema: pa.Schema) -> str:
    fields = SCHEMA if path_form(form) is None else PATH_SCHEMA
    known = {field.name: field.metadata[b"description"].decode() for field in fields}
    known |= {f"rejected_{name}": f"Of the rejected one: {text}" for name, text in known.items()}
    rows = [[f"`{name}`", known[name]] for name in schema.names if name in known]
    if not rows:
        return ""
    return f"## Columns of lineage\n\n{_table(['column', 'what it says'], rows)}\n"


def _table(head: list[str], rows: Iterable[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", "\\|").split())

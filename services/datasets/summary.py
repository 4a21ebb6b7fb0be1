"""What a dataset holds, in figures: export.json, and what the card is made of. No path, no time: same data, same
text."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.datasets.forms import Form, Variant
from services.datasets.parts import Filters, Group
from services.datasets.splits import Splits
from services.exporter.schema import STAGES


@dataclass(frozen=True, kw_only=True)
class Request:
    """What somebody wants of the parts."""

    variant: Variant
    form: Form
    splits: Splits
    filters: Filters
    lineage: bool
    """Whether each row says where it comes from."""
    licences: Mapping[str, str]
    """By source, as the caller states them: nothing in the parts does."""
    recipe_names: Mapping[str, str]
    """By recipe id, those that the caller knows: the parts hold ids."""


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """One split."""

    share: float
    questions: int
    records: int
    shards: int
    difficulties: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures of a dataset. Counts are of records."""

    format: int = 1
    variant: Variant
    form: Form
    lineage: bool
    seed: str
    filters: Filters
    records: int
    disputed: int
    splits: dict[str, SplitSummary]
    sources: dict[str, int]
    """The empty name: questions that came without one."""
    licences: dict[str, str]
    """Of the sources that are in it, those that were stated."""
    recipes: dict[str, int]
    recipe_names: dict[str, str]
    models: dict[str, int]
    cost_usd: dict[str, float]
    """By stage: what the records' cases cost, their shares; by the prices of their recipes."""


def summarize(
    request: Request, groups: list[Group], questions: Mapping[str, int], shards: Mapping[str, int]
) -> Summary:
    """The figures of what was asked for, by what was counted and written."""
    sources = _count(groups, lambda group: group.source or "")
    recipes = _count(groups, lambda group: group.recipe_id)
    splits = {}
    for name, share in request.splits.shares:
        within = [group for group in groups if group.split == name]
        splits[name] = SplitSummary(
            share=float(share),
            questions=questions.get(name, 0),
            records=_records(within),
            shards=shards[name],
            difficulties=_count(within, lambda group: group.difficulty),
        )
    return Summary(
        variant=request.variant,
        form=request.form,
        lineage=request.lineage,
        seed=request.splits.seed,
        filters=request.filters,
        records=_records(groups),
        disputed=_records(group for group in groups if group.disputed),
        splits=splits,
        sources=sources,
        licences={name: licence for name, licence in sorted(request.licences.items()) if name in sources},
        recipes=recipes,
        recipe_names={key: name for key, name in sorted(request.recipe_names.items()) if key in recipes},
        models=_count(groups, lambda group: group.model),
        cost_usd={stage: float(sum(group.costs[at] for group in groups)) for at, stage in enumerate(STAGES)},
    )


def _records(groups: Iterable[Group]) -> int:
    return sum(group.records for group in groups)


def _count(groups: list[Group], of: Callable[[Group], Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for group in groups:
        counts[of(group)] = counts.get(of(group), 0) + group.records
    return dict(sorted(counts.items()))

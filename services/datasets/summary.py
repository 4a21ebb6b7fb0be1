"""The figures of a dataset, for export.json and the card. Deterministic: contains no paths or times."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.datasets.names import Form, Variant
from services.datasets.questions import HeldOut
from services.datasets.records import Filters, Group
from services.datasets.splits import Splits
from services.exporter.schema import STAGES


@dataclass(frozen=True, kw_only=True)
class Request:
    """The dataset to write."""

    variant: Variant | None
    """None for forms with their own answer, or without one."""
    form: Form
    system: str | None
    """The system prompt of each row; None: no system message."""
    splits: Splits
    filters: Filters
    lineage: bool
    """Whether rows have lineage columns."""
    licences: Mapping[str, str]
    """Licence by source, from the caller; records have none."""
    recipe_names: Mapping[str, str]
    """Recipe name by id, from the caller; records have only ids."""
    language: str
    """Of the questions, for the card: ISO 639-1."""
    held_out: HeldOut | None
    """Leave out questions of this evaluation index."""


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """One split."""

    share: float
    questions: int
    records: int
    rows: int
    """Equal to `records`, except in forms with a row for each question, or for each path."""
    shards: int
    difficulties: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class HeldOutSummary:
    """Records and questions that match the filters and are held out by the evaluation index."""

    index: str
    sha256: str
    records: int
    questions: int
    files: dict[str, int]
    """Questions by evaluation file."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures of a dataset. Counts are of records, unless they say otherwise."""

    format: int = 2
    variant: Variant | None
    form: Form
    system: str | None
    language: str
    lineage: bool
    seed: str
    watermark: dict[str, int]
    """The next offset by partition (of paths: by topic and partition): the dataset has all below. The same watermark
    and request give the same bytes."""
    held_out: HeldOutSummary | None
    filters: Filters
    records: int
    disputed: int
    splits: dict[str, SplitSummary]
    sources: dict[str, int]
    """Records by source; the empty name: questions without a source."""
    licences: dict[str, str]
    """The stated licences of sources in the dataset."""
    recipes: dict[str, int]
    recipe_names: dict[str, str]
    models: dict[str, int]
    spared: dict[str, dict[str, float]]
    """Calls and USD (an estimate) that the records' cases did not need, by what spared them: sampling or judging."""
    cost_usd: dict[str, float]
    """USD by stage: the records' shares of the cost of their cases, by the prices of their recipes."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Counts of records and rows written."""

    groups: list[Group]
    questions: Mapping[str, int]
    held_out: Mapping[str, tuple[int, int]]
    rows: Mapping[str, int]
    shards: Mapping[str, int]
    watermark: Mapping[str, int]
    spared: Mapping[str, tuple[int, float]]


def summarize(request: Request, counts: Counts) -> Summary:
    """The summary of a completed export."""
    groups = counts.groups
    sources = _count(groups, lambda group: group.source or "")
    recipes = _count(groups, lambda group: group.recipe_id)
    return Summary(
        variant=request.variant,
        form=request.form,
        system=request.system,
        language=request.language,
        lineage=request.lineage,
        seed=request.splits.seed,
        watermark=dict(counts.watermark),
        held_out=_held_out(request.held_out, counts.held_out),
        filters=request.filters,
        records=_records(groups),
        disputed=_records(group for group in groups if group.disputed),
        splits={name: _split(name, float(share), counts) for name, share in request.splits.shares},
        sources=sources,
        licences={name: licence for name, licence in sorted(request.licences.items()) if name in sources},
        recipes=recipes,
        recipe_names={key: name for key, name in sorted(request.recipe_names.items()) if key in recipes},
        models=_count(groups, lambda group: group.model),
        spared={by: {"calls": calls, "usd": usd} for by, (calls, usd) in counts.spared.items()},
        cost_usd={stage: float(sum(group.costs[at] for group in groups)) for at, stage in enumerate(STAGES)},
    )


def _split(name: str, share: float, counts: Counts) -> SplitSummary:
    within = [group for group in counts.groups if group.split == name]
    return SplitSummary(
        share=share,
        questions=counts.questions.get(name, 0),
        records=_records(within),
        rows=counts.rows[name],
        shards=counts.shards[name],
        difficulties=_count(within, lambda group: group.difficulty),
    )


def _held_out(index: HeldOut | None, counted: Mapping[str, tuple[int, int]]) -> HeldOutSummary | None:
    if index is None:
        return None
    return HeldOutSummary(
        index=index.name,
        sha256=index.sha256,
        records=sum(records for records, _ in counted.values()),
        questions=sum(questions for _, questions in counted.values()),
        files={file: questions for file, (_, questions) in sorted(counted.items())},
    )


def _records(groups: Iterable[Group]) -> int:
    return sum(group.records for group in groups)


def _count(groups: list[Group], of: Callable[[Group], Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for group in groups:
        counts[of(group)] = counts.get(of(group), 0) + group.records
    return dict(sorted(counts.items()))

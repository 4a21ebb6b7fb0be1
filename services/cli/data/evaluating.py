"""How `reasonmed evaluate` has a sample rated."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.table import Table

from services.cli.console import Failed, emit, out
from services.cli.coordinates import ledger
from services.cli.data.models import dispatching, endpoint, progress
from services.core.endpoint import Endpoint
from services.datasets.dataset import Dataset
from services.evaluator.evaluation import DEFAULT, Evaluation, load
from services.evaluator.figures import groups, tokens
from services.evaluator.handler import Judgement
from services.evaluator.handler import evaluate as rate
from services.evaluator.replies import CRITERIA
from services.evaluator.sample import Item, draw


def run(
    dataset: Path,
    *,
    sample: int,
    seed: int,
    evaluator: Path | None,
    llm_url: str | None,
    to: Path | None,
    folder: Path,
    json: bool,
) -> None:
    """Draw, have rated, write and print. Raises Failed."""
    evaluation = load(evaluator or DEFAULT)
    served = endpoint(evaluation.alias, llm_url)
    records = Dataset.open(dataset)
    items = draw(lambda columns: (batch.to_pylist() for batch in records.batches(columns)), sample, seed)
    if not items:
        raise Failed(f"{dataset} holds no records: name the folder of an exporter")
    try:
        judgements = asyncio.run(_evaluate(items, evaluation, served, ledger(folder), quiet=json))
    except KeyboardInterrupt:
        raise Failed("ended before it was done: the same command resumes from here, and pays nothing twice") from None
    report = _report(dataset, sample, seed, evaluation, judgements)
    to = to or dataset.absolute().parent / "evaluation.json"
    to.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    if json:
        emit(report)
    else:
        _show(report, to)


async def _evaluate(
    items: Sequence[Item], evaluation: Evaluation, endpoint: Endpoint, ledger_url: str, *, quiet: bool
) -> list[Judgement]:
    async with dispatching("evaluate", evaluation.alias, endpoint, ledger_url) as models:
        with progress("rating", len(items), models, quiet=quiet) as bar:
            return await rate(items, evaluation, models, at_once=endpoint.max_calls, on_done=bar)


def _report(
    dataset: Path, sample: int, seed: int, evaluation: Evaluation, judgements: Sequence[Judgement]
) -> dict[str, Any]:
    """All of evaluation.json."""

    used = tokens(judgements)
    model = evaluation.model
    cost = (used["in"] * model.price_in + used["out"] * model.price_out) / 1_000_000
    return {
        "dataset": str(dataset),
        "sample": sample,
        "seed": seed,
        "evaluation": evaluation.model_dump(mode="json"),
        "tokens": used,
        "cost": round(cost, 6),
        "groups": groups(judgements),
        "ratings": [_rating(judgement) for judgement in judgements],
    }


def _rating(judgement: Judgement) -> dict[str, Any]:
    item, reading = judgement.item, judgement.reading
    rated = reading.value
    return {
        "record_id": item.record_id,
        "variant": judgement.variant,
        "difficulty": item.difficulty,
        "model": item.model,
        "ratings": None if rated is None else rated.ratings,
        "justification": reading.why_not if rated is None else rated.justification,
        "call_ids": [answer.request.call_id for answer in reading.answers],
    }


def _show(report: dict[str, Any], to: Path) -> None:
    table = Table(title="Ratings from 1 to 10 (every interval is in the file)", title_justify="left")
    table.add_column("variant", no_wrap=True)
    table.add_column("of")
    table.add_column("records", justify="right")
    table.add_column("overall, 95%", no_wrap=True)
    for criterion in CRITERIA:
        table.add_column(criterion.partition("_")[0], justify="right")  # in full it would not fit a terminal
    for group in report["groups"]:
        overall = _mean(group["overall"]) + _interval(group["overall"])
        means = [_mean(group[name]) for name in CRITERIA]
        table.add_row(group["variant"], group["of"], str(group["records"]), overall, *means)
    out.print(table)
    used, unread = report["tokens"], sum(1 for rating in report["ratings"] if rating["ratings"] is None)
    out.print(f"{used['calls']} calls, {used['in']:,} tokens in, {used['out']:,} out, ${report['cost']:.2f}; {to}")
    if unread:
        out.print(f"{unread} ratings could not be had, and are in no mean: see {to}", style="red", highlight=False)


def _mean(found: dict[str, float | None]) -> str:
    return "–" if found["mean"] is None else f"{found['mean']:.2f}"


def _interval(found: dict[str, float | None]) -> str:
    return "" if found["low"] is None else f", {found['low']:.2f} to {found['high']:.2f}"

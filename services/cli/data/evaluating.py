"""How `reasonmed evaluate` has a sample rated."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from rich.progress import Progress
from rich.table import Table

from services.cli.console import Failed, emit, err, out
from services.cli.coordinates import environment_settings, ledger
from services.core.endpoint import Endpoint
from services.core.holds import Holds
from services.datasets.dataset import Dataset
from services.evaluator.evaluation import DEFAULT, Evaluation, load
from services.evaluator.figures import groups, tokens
from services.evaluator.handler import Judgement
from services.evaluator.handler import evaluate as rate
from services.evaluator.replies import CRITERIA
from services.evaluator.sample import Item, draw
from services.ledger import open_ledger
from services.llm.client import ChatClient
from services.llm.dispatcher import Dispatcher
from services.llm.pace import Pace
from services.local.processes.process import sigterm_cancels
from services.runtime.process.running import own_name

LOOK_S = 1.0
"""Seconds between two looks at whether the model takes calls."""


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
    endpoint = _endpoint(evaluation, llm_url)
    records = Dataset.open(dataset)
    items = draw(lambda columns: (batch.to_pylist() for batch in records.batches(columns)), sample, seed)
    if not items:
        raise Failed(f"{dataset} holds no records: name the folder of an exporter")
    try:
        judgements = asyncio.run(_evaluate(items, evaluation, endpoint, ledger(folder), quiet=json))
    except KeyboardInterrupt:
        raise Failed("ended before it was done: the same command resumes from here, and pays nothing twice") from None
    report = _report(dataset, sample, seed, evaluation, judgements)
    to = to or dataset.absolute().parent / "evaluation.json"
    to.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    if json:
        emit(report)
    else:
        _show(report, to)


def _endpoint(evaluation: Evaluation, llm_url: str | None) -> Endpoint:
    if llm_url is not None:
        return Endpoint(llm_url)
    models = environment_settings().models
    if evaluation.alias not in models:
        raise Failed(f"nothing says where {evaluation.alias} is served: set REASONMED_MODELS, or give --llm-url")
    return models[evaluation.alias]


async def _evaluate(
    items: Sequence[Item], evaluation: Evaluation, endpoint: Endpoint, ledger_url: str, *, quiet: bool
) -> list[Judgement]:

    settings, endpoints = environment_settings(), {evaluation.alias: endpoint}
    owner = str(own_name("evaluate", settings.name))
    pace = Pace(lease_s=settings.lease_s, drain_s=settings.drain_s)
    async with (
        sigterm_cancels(),
        open_ledger(ledger_url) as opened,
        ChatClient(endpoints) as chat,
        Dispatcher(chat, opened.calls, endpoints=endpoints, owner=owner, holds=Holds(), pace=pace) as models,
    ):
        try:
            with _progress(len(items), models, quiet=quiet) as bar:
                return await rate(items, evaluation, models, at_once=endpoint.max_calls, on_done=bar)
        except asyncio.CancelledError:
            err.print(f"calls under way have {settings.drain_s:.0f} s to end; Ctrl-C again gives them up")
            raise


@contextmanager
def _progress(total: int, models: Dispatcher, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar on a terminal; beside it, or alone, why the model takes no calls."""
    with Progress(console=err, transient=True, disable=quiet or not err.is_terminal) as progress:
        task = progress.add_task("rating", total=total)
        watching = asyncio.get_running_loop().create_task(_watch(models))
        try:
            yield lambda: progress.advance(task)
        finally:
            watching.cancel()


async def _watch(models: Dispatcher) -> None:
    printed = ""
    while True:
        await asyncio.sleep(LOOK_S)
        why = "; ".join(f"{alias} takes no calls: {down.why}" for alias, down in models.status().items())
        if why and why != printed:
            err.print(f"waiting: {why}", highlight=False, markup=False)
        printed = why


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

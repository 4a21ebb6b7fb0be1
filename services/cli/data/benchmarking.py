"""How `reasonmed benchmark` asks a model and reports."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import typer

from services.benchmark.asking import ALIAS, Answered, Candidate, Item, Prompt, ask
from services.benchmark.report import against, report
from services.benchmark.subset import subset
from services.benchmark.tasks import tasks
from services.benchmark.weights import digest, served_name
from services.cli.console import Failed, emit, err
from services.cli.coordinates import ledger
from services.cli.data.benchmark_view import show
from services.cli.data.models import dispatching, endpoint, progress
from services.cli.data.test_questions import read
from services.contracts.recipe import Model, Sampling
from services.core.dedupe.evaluation_file import read as read_index
from services.core.endpoint import Endpoint
from services.importers.formats import Asked
from services.training.run import index_of, write_card


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The options."""

    files: Sequence[str]
    asked: Asked
    model: str
    weights: Path | None
    revision: str | None
    prompt: Prompt
    temperature: float
    samples: int
    max_tokens: int
    prices: tuple[float, float]
    """USD per million tokens in and out."""
    subset: int | None
    seed: int
    held_out: Path | None
    against: Path | None
    tasks: Path | None


def run(wanted: Wanted, *, llm_url: str | None, to: Path, folder: Path, json: bool) -> None:
    """Read, ask, write and print. Raises Failed."""
    candidate = _candidate(wanted)
    other = None if wanted.against is None else orjson.loads(wanted.against.read_bytes())
    every, counts = read(wanted.files, wanted.asked)
    items = every if wanted.subset is None else subset(every, wanted.subset, wanted.seed)
    held_out = _held_out(wanted, items)
    if wanted.tasks is not None:
        wanted.tasks.mkdir(parents=True, exist_ok=True)
        for name, data in tasks(items, candidate, wanted.tasks):
            (wanted.tasks / name).write_bytes(data)
    served = endpoint(ALIAS, llm_url)
    try:
        answered, stats = asyncio.run(_ask(items, candidate, served, ledger(folder), quiet=json))
    except KeyboardInterrupt:
        raise Failed("ended before it was done: the same command resumes from here, and pays nothing twice") from None
    about = {
        "weights": _verified(wanted, candidate),
        "files": counts,
        "subset": None if wanted.subset is None else {"size": wanted.subset, "seed": wanted.seed},
        "held_out": held_out,
    }
    made = report(answered, candidate, about)
    if other is not None:
        made["against"] = against(made, other)
    to.write_bytes(orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    if wanted.weights is not None:
        write_card(wanted.weights, made)
    emit({**made, "requests": stats}) if json else show(made, stats, to)


def _candidate(wanted: Wanted) -> Candidate:
    if wanted.samples > 1 and wanted.temperature == 0:
        raise typer.BadParameter("at temperature 0 all samples are the same: set --temperature", param_hint="--samples")
    if (wanted.weights is None) == (wanted.revision is None):
        raise typer.BadParameter(
            "say which weights answer: --weights FOLDER of a local model, or --revision of a hosted one",
            param_hint="--weights",
        )
    served, revision = wanted.model, wanted.revision or ""
    if wanted.weights is not None:
        revision = digest(wanted.weights)
        served = served_name(wanted.model, revision)
    price_in, price_out = wanted.prices
    return Candidate(
        Model(served=served, revision=revision, price_in=price_in, price_out=price_out),
        wanted.prompt,
        Sampling(temperature=wanted.temperature, max_tokens=wanted.max_tokens),
        wanted.samples,
    )


def _verified(wanted: Wanted, candidate: Candidate) -> dict[str, Any]:
    """How far the revision is known: a server answers to NAME@DIGEST only if it was started under this name."""
    if wanted.weights is None:
        return {"verified": False, "digest": None}
    return {"verified": True, "digest": candidate.model.revision}


def _held_out(wanted: Wanted, items: Sequence[Item]) -> dict[str, Any]:
    """Whether the questions are in the index that the training data was checked against; says on stderr if not."""
    trained_against = None if wanted.weights is None else index_of(wanted.weights)
    if wanted.held_out is None:
        if trained_against is not None:
            err.print("not checked: whether the training had these questions; give its index with --held-out")
        return {"index": None, "sha256": None, "missing": None}
    index, found = read_index(wanted.held_out), sha256(wanted.held_out.read_bytes()).hexdigest()
    if trained_against not in (None, found):
        raise Failed(
            f"{wanted.weights} was trained on data that was checked against another index ({trained_against[:12]}…, "
            f"{wanted.held_out} is {found[:12]}…): give that one, or train again with --held-out {wanted.held_out}"
        )
    missing = [item for item in items if index.find(item.question) is None]
    if missing:
        first = missing[0]
        err.print(
            f"{len(missing)} of {len(items)} questions aren't in {wanted.held_out} (first: {first.set} {first.id}): "
            "the training may have had them: add their file with `reasonmed index`, then export and train again",
            style="red",
            highlight=False,
        )
    return {"index": wanted.held_out.name, "sha256": found, "missing": len(missing)}


async def _ask(
    items: Sequence[Item], candidate: Candidate, served: Endpoint, ledger_url: str, *, quiet: bool
) -> tuple[list[Answered], dict[str, int]]:
    async with dispatching("benchmark", ALIAS, served, ledger_url) as models:
        served_as = f"start it with --served-model-name {candidate.model.served}"
        with progress("asking", len(items), models, quiet=quiet, if_unknown=served_as) as bar:
            answered = await ask(items, candidate, models, at_once=served.max_calls, on_done=bar)
    stats = models.stats
    counts = {"sent": stats.started[ALIAS], "replied": stats.sent[ALIAS, "replied"], "from_ledger": stats.remembered}
    return answered, counts

"""`reasonmed plan`: what so many questions need."""

import asyncio
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import UP, Failed, Folder, Json, emit

if TYPE_CHECKING:
    from services.core.planning.deployment import Plan

_RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|min|h|d)")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(min|h|d)")
_SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}


def per_s(text: str) -> float:
    """A rate such as 500/h. Raises typer.BadParameter."""
    found = _RATE.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise typer.BadParameter("a number per s, min, h or d, such as 500/h", param_hint="--rate")
    return float(found[1]) / _SECONDS[found[2]]


def seconds(text: str) -> float:
    """A span such as 8h. Raises typer.BadParameter."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise typer.BadParameter("a number of min, h or d, such as 8h", param_hint="--within")
    return float(found[1]) * _SECONDS[found[2]]


def plan(
    recipe: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped recipe (default, demo).")],
    rate: Annotated[str | None, typer.Option(help="Questions that come steadily: 500/h, 20/min.")] = None,
    cases: Annotated[int | None, typer.Option(min=1, help="Questions that come at once.")] = None,
    within: Annotated[
        str | None,
        typer.Option(
            help="The time until the last one has ended: 8h, 30min; none: as fast as the values' `most` allow."
        ),
    ] = None,
    values: Annotated[
        Path | None, typer.Option(help="Values for the Helm chart; what it leaves out is the chart's default.")
    ] = None,
    measured: Annotated[
        bool, typer.Option("--measured", help="Calls and tokens from a stream's figures, as `status` reads them.")
    ] = False,
    folder: Folder = UP,
    json: Json = False,
) -> None:
    """Plan a deployment: calls, GPUs, pods, bytes, cost and time for so many questions.

    Sizes of model servers, and the seconds of their calls, are those of the chart's values (`pools`). Calls of a case
    and their tokens are measured with --measured, else assumed. Ends with values for the chart. Needs no cluster.

    Example:  reasonmed plan default --rate 500/h --values k8s/values/large.yaml
    """
    from services.cli.run import plan_inputs, plan_view, recipe_store  # only when it runs, as --help needs none
    from services.core.planning.deployment import TooShort, rate_of, takes_s
    from services.core.planning.deployment import plan as planned

    if (rate is None) == (cases is None) or (rate is not None and within is not None):
        raise Failed("say how many questions: --rate 500/h, or --cases 100000, perhaps --within 8h")
    _, loaded = recipe_store.load(recipe)
    cluster = plan_inputs.cluster(loaded, values)
    shares, found = asyncio.run(plan_inputs.measured(folder)) if measured else (None, {})

    def at(wanted: float) -> "Plan":
        return planned(loaded, cluster, per_s=wanted, shares=shares, measured=found)

    try:
        if rate is not None:
            made = at(per_s(rate))
        elif cases is not None and within is not None:
            made = at(rate_of(cases, seconds(within), loaded, cluster))
        else:
            made = at(at(1).bound_cases_per_h / 3600)
    except TooShort as error:
        raise Failed(str(error)) from error
    took_s = None if cases is None else takes_s(cases, made)
    chart = plan_view.chart_values(made)
    if json:
        emit({**asdict(made), "gpus": made.gpus, "fits": made.fits, "takes_s": took_s, "values": chart})
    else:
        plan_view.show(made, chart, cases=cases, took_s=took_s)

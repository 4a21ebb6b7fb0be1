"""`reasonmed up`: the whole stream on this machine, until Ctrl-C."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from services import recipes
from services.cli.console import UP, Failed, err, out
from services.cli.coordinates import Coordinates, client, environment_settings, forget, save
from services.cli.run.processes import table
from services.core.dedupe.evaluation_file import read
from services.core.endpoint import Endpoint
from services.local.processes.folders import claimed
from services.local.processes.ports import PortInUse, claimed_port
from services.local.processes.process import ProcessError, sigterm_cancels
from services.local.processes.supervisor import Event, WorkerState
from services.local.servers import model_server as serving
from services.local.servers.model_server import scripted_recipe
from services.local.stack import Plan, Stack, running
from services.runtime.process.settings import inherited

GATEWAY_PORT = 8080
"""The default; where another process has it, any free port is used."""


def up(  # noqa: PLR0913 -- Typer makes an option of each argument
    recipe: Annotated[
        str | None,
        typer.Option(
            help="A YAML file or a shipped recipe's name, for new cases. Default: demo, with the small model."
        ),
    ] = None,
    bootstrap: Annotated[str | None, typer.Option(help="Use this Kafka (host:port); none is started.")] = None,
    llm_url: Annotated[
        str | None, typer.Option("--llm-url", help="URL of an OpenAI-compatible server (up to /v1) for every model.")
    ] = None,
    scripted: Annotated[bool, typer.Option("--scripted", help="Use scripted answers, and no model.")] = False,
    workers: Annotated[int, typer.Option(min=1, max=4, help="Processes of each stage that calls models.")] = 1,
    evaluation_index: Annotated[
        Path | None,
        typer.Option(help="An index from `reasonmed index`: refuse the questions of these evaluation sets."),
    ] = None,
    near_duplicates: Annotated[
        float | None,
        typer.Option(
            min=0.7, max=1, help="Refuse questions at least this similar (0.85, say) to an admitted one; see ADR 11."
        ),
    ] = None,
    gateway_port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Default: 8080, or any free port where that is in use.")
    ] = None,
    kafka_port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Default: any free port.")] = None,
    folder: Annotated[Path, typer.Option(help="Kafka's data, ledger, logs, dataset; kept from run to run.")] = UP,
) -> None:
    """Start the whole stream on this machine, a process for each service; Ctrl-C drains and stops it.

    Without options it starts Apache Kafka and a small real model (real tokens, poor medicine). For your own models set
    --recipe and --llm-url, or each alias in REASONMED_MODELS. Submit questions with `reasonmed submit` or by POST to
    the gateway; records are Parquet files in FOLDER/dataset. There is one replica: losing the machine loses the data.

    Example:  reasonmed up --scripted --workers 2
    """
    if scripted and llm_url is not None:
        raise typer.BadParameter("--scripted and --llm-url exclude each other")
    if bootstrap is not None and recipe is None:
        raise typer.BadParameter("--bootstrap requires --recipe: the recipe for new cases on that cluster")
    if bootstrap is not None and kafka_port is not None:
        raise typer.BadParameter("--bootstrap and --kafka-port exclude each other")
    with ExitStack() as claims:
        ours = claims.enter_context(claimed(folder))
        plan = _plan(ours, recipe or ("default" if scripted else "demo"), bootstrap, llm_url, scripted)
        plan = replace(
            plan,
            workers=workers,
            admission=_admission(evaluation_index, near_duplicates),
            gateway_port=_gateway_port(gateway_port, claims),
            kafka_port=None if kafka_port is None else claims.enter_context(claimed_port(kafka_port)),
        )
        try:
            asyncio.run(_run(plan))
        except (KeyboardInterrupt, asyncio.CancelledError):
            out.print("All services have drained and stopped.", highlight=False)


async def _run(plan: Plan) -> None:
    def say(step: str) -> None:
        out.print(step, highlight=False)

    async with sigterm_cancels(), running(plan, say=say, on_event=_report_restart) as stack:
        _announce(stack)
        try:
            await _watch(stack)
        except ProcessError as error:
            err.print(f"Stopping: {str(error).partition('; the end of')[0]}", highlight=False, markup=False)
            raise
        finally:
            forget(plan.folder)


def _report_restart(event: Event) -> None:
    if event.state is WorkerState.WAITING:
        out.print(f"{event.name} exited with {event.exit_code}; it is restarted.", highlight=False)


def _announce(stack: Stack) -> None:
    coordinates = Coordinates(
        pid=os.getpid(),
        bootstrap=stack.client.bootstrap,
        gateway=stack.gateway,
        ledger=stack.ledger,
        dataset=stack.dataset,
        calls_log=stack.model.log,
        recipe_id=stack.recipe_id,
        metrics={name: f"http://127.0.0.1:{port}/metrics" for name, port in stack.ports.items()},
    )
    save(stack.plan.folder, coordinates)
    for name, where in (
        ("dashboard", f"{stack.gateway}/dashboard/"),
        ("gateway", f"{stack.gateway}/docs"),
        ("Kafka", stack.client.bootstrap),
        ("models", stack.model.endpoint.base_url),
        ("recipe", f"{stack.plan.recipe.name} ({stack.recipe_id})"),
        ("dataset", str(stack.dataset)),
        ("logs", str(stack.plan.folder / "logs")),
    ):
        out.print(f"{name:>9}  {where}", highlight=False, soft_wrap=True)
    out.print(
        "Each service answers /readyz and /metrics on its port. Ctrl-C drains and stops the stack.", highlight=False
    )


async def _watch(stack: Stack) -> None:
    """Show the processes, on a terminal, until cancelled. Raises ProcessError where Kafka or the model server ends."""
    interactive = out.is_terminal and not out.is_dumb_terminal
    with Live(console=out, refresh_per_second=2) if interactive else nullcontext() as live:
        while True:
            stack.check()
            if live is not None:
                live.update(table(stack))
            await asyncio.sleep(1)


def _plan(folder: Path, recipe: str, bootstrap: str | None, llm_url: str | None, scripted: bool) -> Plan:
    settings, loaded = environment_settings(), recipes.load(recipe)
    elsewhere = {} if scripted or llm_url is not None else settings.models
    if elsewhere and (missing := sorted(loaded.models.keys() - elsewhere.keys())):
        raise Failed(
            f"no endpoint for {', '.join(missing)} of the recipe {loaded.name}: name each in REASONMED_MODELS, or give "
            "--llm-url to ask one server for every model"
        )
    return Plan(
        folder=folder,
        recipe=scripted_recipe(loaded) if scripted else loaded,
        model=_model(llm_url, scripted, [elsewhere[alias] for alias in loaded.models if alias in elsewhere]),
        endpoints=elsewhere,
        kafka=None if bootstrap is None else client(bootstrap, folder),
        ledger=settings.ledger.get_secret_value() if "ledger" in settings.model_fields_set else None,
        env=inherited(),
        drain_s=settings.drain_s,
    )


def _gateway_port(given: int | None, claims: ExitStack) -> int | None:
    """The port, claimed. Raises PortInUse where a given one is in use."""
    if given is not None:
        return claims.enter_context(claimed_port(given))
    with suppress(PortInUse):
        return claims.enter_context(claimed_port(GATEWAY_PORT))
    return None


def _admission(evaluation_index: Path | None, near_duplicates: float | None) -> dict[str, str]:
    """The router's settings. Raises BadIndex before anything is started."""
    given = {}
    if evaluation_index is not None:
        read(evaluation_index)
        given["EVALUATION_INDEX"] = str(evaluation_index.absolute())
    if near_duplicates is not None:
        given["NEAR_DUPLICATES"] = str(near_duplicates)
    return given


def _model(llm_url: str | None, scripted: bool, elsewhere: Sequence[Endpoint]) -> serving.Choice:
    """The model server to start; none where the environment has the models' addresses."""
    if scripted:
        return serving.Scripted()
    if llm_url is not None:
        return serving.Own(endpoint=Endpoint(llm_url))
    return serving.Own(endpoint=elsewhere[0]) if elsewhere else serving.Small()

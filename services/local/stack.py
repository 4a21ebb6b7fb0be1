"""The whole system on one machine: Kafka, a model server, and a process for every service.

    async with running(Plan(folder=folder, recipe=recipe, model=Scripted())) as stack:
        ... stack.client, stack.gateway, stack.workers ...

`up`, demo, replay and tests use it. It stops in reverse: all services drain concurrently, then the model server stops,
then Kafka, so that calls and messages in flight can complete.
"""

import shutil
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from services.contracts.base import RecipeId
from services.contracts.recipe import Recipe
from services.contracts.topics import topics
from services.core import ids
from services.core.endpoint import Endpoint
from services.local.audit.report import Used
from services.local.processes.child import Usage
from services.local.processes.environment import environment
from services.local.processes.ports import LOOPBACK, free_ports
from services.local.processes.process import Process, ProcessError, together
from services.local.processes.readiness import until_ready
from services.local.processes.supervisor import Command, Event, Supervisor
from services.local.servers import model_server as serving
from services.local.servers.kafka import KafkaCluster
from services.runtime.kafka.admin import brokers
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.declare import declare, specs
from services.runtime.kafka.sink import KafkaSink
from services.worker.publishing import publish_recipe

STAGES: Mapping[str, Sequence[str]] = {
    "generator": ("generator",),
    "verifier": ("verifier",),
    "refiner-medium": ("refiner", "--lane", "medium"),
    "refiner-difficult": ("refiner", "--lane", "difficult"),
    "summarizer": ("summarizer",),
}
"""The stages that call models, by worker name; `Plan.workers` is the number of processes of each."""
SINGLE: Mapping[str, Sequence[str]] = {name: (name,) for name in ("router", "gateway", "exporter", "monitor")}
"""Services with one process each."""

_PROJECT = Path(__file__).parents[2]
_KILL_AFTER = 10.0
"""Seconds after a service's drain deadline until it is killed: time to flush, commit and leave its group."""
_BROKEN_DRAIN_S = 5.0
"""Seconds to stop the services after Kafka or the model server has ended: they cannot drain then."""
_FULL_BYTES = 64 * 2**20
"""Free bytes below which the disk is reported as full: Kafka stops when it can't write a segment."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The configuration of a stack."""

    folder: Path
    """For Kafka's data, ledger.sqlite, logs/ and dataset/."""
    recipe: Recipe
    """Published as the current recipe."""
    model: serving.Choice
    """The model server for the recipe's aliases."""
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    """Endpoints of aliases that another server serves."""
    kafka: KafkaClient | None = None
    """An existing cluster; None: a broker is started in the folder."""
    ledger: str | None = None
    """An existing ledger; None: SQLite in the folder."""
    workers: int = 1
    """Processes of each stage that calls models."""
    partitions: int = 4
    """The most partitions of a topic: each is a folder to create and load, and one machine has few workers."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The base environment of the services; the stack's settings override it."""
    drain_s: float = 150.0
    """Seconds for calls in flight to end after SIGTERM."""
    admission: Mapping[str, str] = field(default_factory=dict)
    """The router's REASONMED_ADMISSION__ settings, without this prefix; they override `env`."""
    gateway_port: int | None = None
    """The gateway's port; None: any free one."""
    kafka_port: int | None = None
    """The port of the broker that is started; None: any free one."""


@dataclass(frozen=True)
class Stack:
    """A running system."""

    plan: Plan
    client: KafkaClient
    ledger: str
    recipe_id: RecipeId
    model: serving.Server
    workers: Supervisor
    ports: Mapping[str, int]
    """The port of health and metrics, by worker."""
    kafka: KafkaCluster | None

    @property
    def dataset(self) -> Path:
        """The exporter's dataset folder."""
        return self.plan.folder / "dataset"

    @property
    def gateway(self) -> str:
        """The URL of the gateway."""
        return f"http://{LOOPBACK}:{self.ports['gateway']}"

    @property
    def servers(self) -> list[Process]:
        """The brokers and the model server that the stack started."""
        brokers = [] if self.kafka is None else list(self.kafka.processes)
        return brokers if self.model.process is None else [*brokers, self.model.process]

    def check(self) -> None:
        """Raise ProcessError if Kafka or the model server has ended: only services are restarted."""
        for server in self.servers:
            if server.running:
                continue
            if shutil.disk_usage(self.plan.folder).free < _FULL_BYTES or "No space left" in server.log_tail():
                raise ProcessError(
                    f"{server.name} has ended: the disk of {self.plan.folder} is full. Free some space, and run the "
                    f"same command again: it continues there. The log is {server.log}"
                )
            raise ProcessError(f"{server.name} has ended; the end of {server.log}:\n{server.log_tail()}")

    async def drain(self) -> None:
        """Stop all services concurrently; return when all have ended. Kafka and the model server keep running."""
        await self.workers.stop_all()

    def used(self) -> dict[str, Used]:
        """Resource usage so far by service, including Kafka and the model server if the stack started them."""
        usages: defaultdict[str, list[Usage]] = defaultdict(list)
        for name, history in self.workers.histories().items():
            usages[name.partition("-")[0]].append(history.usage)
        if self.kafka is not None:
            usages["kafka"] = list(self.kafka.usage.values())
        if self.model.process is not None:
            usages["model-server"] = [self.model.process.usage]
        return {service: _used(those) for service, those in usages.items()}

    def command(self, arguments: Sequence[str], name: str, *, port: int = 0) -> Command:
        """The command of a service, with the settings of this stack."""
        service, *options = arguments
        env = environment(
            self.plan.env,
            client=self.client,
            ledger=self.ledger,
            models={alias: self.plan.endpoints.get(alias, self.model.endpoint) for alias in self.plan.recipe.models},
            port=port,
            name=name,
            more={
                "DRAIN_S": str(self.plan.drain_s),
                "EXPORT__OUT": str(self.dataset),
                **{f"ADMISSION__{name}": value for name, value in self.plan.admission.items()},
            },
        )
        argv = [sys.executable, "-m", f"services.{service}", *options]
        return Command(argv, log=self.plan.folder / "logs" / f"{name}.log", env=env, cwd=_PROJECT)


Say = Callable[[str], None]
"""Called with a description of each step of start and stop."""


@asynccontextmanager
async def running(
    plan: Plan, *, say: Say = lambda step: None, on_event: Callable[[Event], None] = lambda event: None
) -> AsyncIterator[Stack]:
    """Run the stack until the block ends; yields it when all services are ready. `on_event` is called for each worker
    that starts or ends.

    Raises ProcessError (with the process and the end of its log), BrokerAway, JarError, WeightsError. No process is
    left running then.
    """
    plan = replace(plan, folder=plan.folder.absolute())
    plan.folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as ends:
        kafka = None if plan.kafka is not None else KafkaCluster(plan.folder / "kafka", port=plan.kafka_port)
        model = serving.server(plan.model, plan.folder / "logs", plan.env)
        await _start_servers(kafka, model, ends, say)
        client = plan.kafka or KafkaClient(bootstrap=kafka.bootstrap if kafka else "")
        say("declaring the topics, publishing the recipe")
        recipe_id = await _prepare(plan, client)
        workers = Supervisor(stop_within=plan.drain_s + _KILL_AFTER, on_event=on_event)
        ledger = plan.ledger or f"sqlite://{plan.folder / 'ledger.sqlite'}"
        stack = Stack(plan, client, ledger, recipe_id, model, workers, _ports(plan), kafka)
        ends.push_async_callback(_stop, stack, say)
        say(f"starting {len(stack.ports)} services")
        for name, arguments in _commands(plan.workers).items():
            await workers.start(name, stack.command(arguments, name, port=stack.ports[name]))
        await until_ready(workers, stack.ports)
        say("ready")
        yield stack


async def _start_servers(kafka: KafkaCluster | None, model: serving.Server, ends: AsyncExitStack, say: Say) -> None:
    if kafka is not None:
        say("starting Apache Kafka and the model server" if model.process else "starting Apache Kafka")
        ends.push_async_callback(kafka.stop)
    ends.push_async_callback(model.stop)
    await together(model.start(), *([kafka.start()] if kafka else []))


async def _prepare(plan: Plan, client: KafkaClient) -> RecipeId:
    replication = min(3, await brokers(client))
    wanted = specs(
        topics().values(),
        replication=replication,
        max_message_bytes=client.max_message_bytes,
        partitions=plan.partitions,
    )
    await declare(client, wanted)
    async with KafkaSink(client) as sink:
        await publish_recipe(sink, plan.recipe, current=True, max_message_bytes=client.max_message_bytes)
    return ids.recipe_id(plan.recipe)


async def _stop(stack: Stack, say: Say) -> None:
    broken = [server.name for server in stack.servers if not server.running]
    if broken:
        say(f"{', '.join(broken)} has ended: stopping the services")
    elif any(history.pid for history in stack.workers.histories().values()):
        say("draining the services")
    await stack.workers.stop_all(_BROKEN_DRAIN_S if broken else None)


def _commands(workers: int) -> dict[str, Sequence[str]]:
    stages = {f"{name}-{number + 1}": command for name, command in STAGES.items() for number in range(workers)}
    return {**SINGLE, **stages}


def _ports(plan: Plan) -> dict[str, int]:
    names = list(_commands(plan.workers))
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    return {**ports, "gateway": plan.gateway_port or ports["gateway"]}


def _used(usages: Sequence[Usage]) -> Used:
    return Used(
        cpu_s=sum(usage.cpu_seconds for usage in usages),
        peak_rss_mb=max((usage.peak_rss for usage in usages), default=0) / 2**20,
    )

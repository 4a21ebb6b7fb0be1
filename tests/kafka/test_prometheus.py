"""A real Prometheus beside a running stream, with the alarms of deploy/: every rule has data, and alarms come and go.

`make test-alarms` runs it, `make test` doesn't.
"""

import re
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml

from services.contracts.topics import QUESTION_SUBMITTED
from services.core.messages import OutgoingRecord
from services.llm.scripted import known
from services.local.processes.ports import free_ports
from services.local.processes.process import Process
from services.local.servers.model_server import Scripted
from services.local.stack import Plan, Stack, running
from services.recipes import load
from services.runtime.kafka.sink import KafkaSink
from tests.kafka.stream import submission
from tests.kafka.tap import ask_until, http
from tests.metrics import ENGINES, of_service

PROMETHEUS = shutil.which("prometheus")

pytestmark = [
    pytest.mark.prometheus,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(PROMETHEUS is None, reason="no prometheus: `make debian` installs it"),
]

ALERTS = Path(__file__).parents[2] / "deploy/prometheus/alerts.yaml"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
SERVICES = (*ENGINES, "gateway", "exporter")
SELECTOR = re.compile(r"\b(?:(?:reasonmed|process)_\w+|up)\b(?:\{[^}]*\})?")


def quicker(duration: str) -> str:
    """A sixtieth: a minute is a second."""
    return re.sub(r"(\d+)([mh])", lambda found: f"{int(found[1]) * {'m': 1, 'h': 60}[found[2]]}s", duration)


def quicker_rules() -> dict[str, Any]:
    """The alarms of deploy/, with windows and waiting times of seconds for minutes."""
    rules = [
        {**rule, "expr": re.sub(r"\[\w+\]", lambda found: quicker(found[0]), rule["expr"])}
        | ({"for": quicker(rule["for"])} if "for" in rule else {})
        for rule in RULES
    ]
    return {"groups": [{"name": "quicker", "rules": rules}]}


def configuration(stack: Stack) -> dict[str, Any]:
    """A job a service, which is asked each second."""
    targets: defaultdict[str, list[str]] = defaultdict(list)
    for worker, port in stack.ports.items():
        targets[f"reasonmed-{worker.partition('-')[0]}"].append(f"127.0.0.1:{port}")
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alerts.yaml"],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": addresses}]} for job, addresses in targets.items()
        ],
    }


class Prometheus:
    """Its HTTP interface."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"

    async def ask(self, path: str, **query: str) -> Any:
        async with http() as client:
            answer = await client.get(f"http://{self.address}/api/v1/{path}", params=query)
        answer.raise_for_status()
        return answer.json()["data"]

    async def ready(self) -> None:
        async def status() -> int:
            try:
                async with http() as client:
                    return (await client.get(f"http://{self.address}/-/ready")).status_code
            except httpx.HTTPError:
                return 0

        await ask_until(status, lambda code: code == 200)

    async def jobs(self, selector: str) -> set[str]:
        """The services that have shown these series."""
        seen = await self.ask("query", query=f"count by (job) (last_over_time({selector}[10m]))")
        return {each["metric"]["job"].removeprefix("reasonmed-") for each in seen["result"]}

    async def firing(self, **labels: str) -> bool:
        """Whether an alarm with these labels fires."""
        alerts = (await self.ask("alerts"))["alerts"]
        return any(each["state"] == "firing" and labels.items() <= each["labels"].items() for each in alerts)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    folder = tmp_path_factory.mktemp("watched")
    async with running(Plan(folder=folder, recipe=load("default"), model=Scripted(), drain_s=20)) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prometheus(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "alerts.yaml").write_text(yaml.safe_dump(quicker_rules()))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration(stack)))
    (port,) = free_ports(1)
    prometheus = Prometheus(port)
    argv = [str(PROMETHEUS), f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    argv.append(f"--web.listen-address={prometheus.address}")
    async with Process("prometheus", argv, log=folder / "log", cwd=folder, ready=prometheus.ready):
        yield prometheus


async def test_every_rule_has_data_of_each_service_that_it_is_about(stack: Stack, prometheus: Prometheus) -> None:
    async with KafkaSink(stack.client) as sink:
        await sink.publish([submission(question) for question in known.questions(known.SAMPLES).values()])
    about = {
        selector: {each for each in SERVICES if selector.partition("{")[0] in of_service(each)}
        for rule in RULES
        for selector in SELECTOR.findall(rule["expr"])
    }
    assert all(about.values())

    async def lacking() -> dict[str, set[str]]:
        without = {selector: services - await prometheus.jobs(selector) for selector, services in about.items()}
        return {selector: services for selector, services in without.items() if services}

    await ask_until(lacking, lambda found: not found, within_s=120)

    async def unevaluated() -> list[Any]:
        groups = (await prometheus.ask("rules"))["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert [rule["name"] for rule in rules] == [rule["alert"] for rule in RULES]
        return [rule for rule in rules if rule["health"] != "ok"]

    await ask_until(unevaluated, lambda found: not found)


async def test_a_dead_letter_raises_its_service_s_alarm_until_it_is_old(stack: Stack, prometheus: Prometheus) -> None:
    about = {"alertname": "ReasonmedDeadLetters", "service": "router", "kind": "poison"}
    assert not await prometheus.firing(**about)
    async with KafkaSink(stack.client) as sink:
        await sink.publish([OutgoingRecord(QUESTION_SUBMITTED, b"key", b"{", {})])
    await ask_until(lambda: prometheus.firing(**about), bool)
    await ask_until(lambda: prometheus.firing(**about), lambda firing: not firing)


async def test_a_worker_that_is_gone_raises_an_alarm_until_it_is_back(stack: Stack, prometheus: Prometheus) -> None:
    name = "verifier-1"
    about = {"alertname": "ReasonmedNotLive", "job": "reasonmed-verifier"}
    assert not await prometheus.firing(**about)
    await stack.workers.stop(name)
    await ask_until(lambda: prometheus.firing(**about), bool)
    await stack.workers.start(name, stack.command(["verifier"], name, port=stack.ports[name]))
    await ask_until(lambda: prometheus.firing(**about), lambda firing: not firing)

"""A rolling deploy on Apache Kafka: the services of an older commit and of this one in one stream, another recipe in
mid-flight, and a rollback.

One deploy for all tests (`deployed`); each test looks at what it has left behind.
"""

import asyncio
import compileall
import io
import subprocess
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from services.contracts.case import Case
from services.contracts.codec import decode, encode
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_DIFFICULT,
    CASE_MEDIUM,
    CASE_REJECTED,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    RECORD_COMPLETED,
)
from services.core import ids
from services.core.owner import Owner
from services.datasets.dataset import read_dataset
from services.generator.handler import generate
from services.ledger import open_ledger
from services.llm.fake import ScriptedModels
from services.local.processes.process import Process
from services.refiner.handler import reason_again, refine
from services.summarizer.handler import summarize
from services.verifier.handler import verify
from services.worker.handling import CaseHandler
from tests.chaos.questions import questions
from tests.kafka.rolling import CAMPAIGN, DRAIN_S, FIRST, NEWER, RECIPES, SECOND, WAVE, Deploy
from tests.kafka.stream import PROJECT, running

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

OLDER = "c9a5cb3ad6eb3085a8031431d9176bb8f35b35a6"
"""What runs somewhere while this commit comes: to be moved on, with the reason, when the two are not to work together
any more."""

READERS: Sequence[Sequence[str]] = (
    ("exporter-1", "summarizer-1", "refiner-medium-1", "refiner-difficult-1"),
    ("summarizer-2", "refiner-medium-2", "refiner-difficult-2"),
)
WRITERS: Sequence[Sequence[str]] = (
    ("verifier-1", "generator-1"),
    ("verifier-2", "generator-2"),
    ("router-1",),
    ("router-2", "gateway-1"),
)
"""Of each service one worker after the other, readers before writers: as docs/rolling-changes.md has it."""
BACK: Sequence[Sequence[str]] = (("router-1", "verifier-1"), ("router-2", "verifier-2"))
"""One service on Faust, one on the engine: an older one resumes from what a newer one has committed."""

WAVES = len(READERS) + len(WRITERS) + len(BACK) + 3
"""One for each step; the others before the first, between deploy and rollback, and after the last."""

CALLERS: Mapping[str, CaseHandler] = {
    QUESTION_ADMITTED: generate,
    PATHS_GENERATED: verify,
    CASE_MEDIUM: refine,
    CASE_DIFFICULT: reason_again,
    CASE_ACCEPTED: summarize,
}
"""Who asks models, by the topic that it reads."""
CASES = (*CALLERS, PATHS_VERIFIED, CASE_REJECTED)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The older commit's files."""
    if not (PROJECT / ".git").exists():
        pytest.skip("a source archive has no history")
    packed = subprocess.run(["git", "archive", OLDER], cwd=PROJECT, capture_output=True)
    assert packed.returncode == 0, f"the history lacks {OLDER}: fetch it whole\n{packed.stderr.decode()}"
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
        files.extractall(folder, filter="data")
    compileall.compile_dir(folder / "services", quiet=1)  # once, and not by every worker at the same time
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployed(tmp_path_factory: pytest.TempPathFactory, older: Path) -> AsyncIterator[Deploy]:
    """From the older commit to this one and, of two services, back; from one recipe to another, and back."""
    folder = tmp_path_factory.mktemp("rolling")
    asked = list(questions(WAVES * WAVE))
    known = folder / "questions.jsonl"
    known.write_bytes(b"\n".join(encode(question) for question in asked))
    settings = {"REASONMED_DRAIN_S": str(DRAIN_S), "REASONMED_EXPORT__OUT": str(folder / "dataset")}
    async with running(
        folder,
        recipes=[FIRST, SECOND],
        servers={"models": "0.3:0.6"},  # a call outlasts the way from the log to SIGTERM
        aliases=dict.fromkeys(FIRST.models, "models"),
        settings=settings,
        questions=known,
    ) as stream:
        await stream.servers["models"].process.start()
        deploy = Deploy(stream, older, iter(asked))
        await deploy.start(*(name for step in (*READERS, *WRITERS) for name in step), tree=older)
        await deploy.wave(current=FIRST)
        for step in READERS:
            await deploy.roll(*step, tree=PROJECT, current=FIRST)
        await deploy.make_current(SECOND)
        for step in WRITERS:
            await deploy.roll(*step, tree=PROJECT)
        await deploy.wave(current=SECOND)  # both routers have begun since, and read the recipes first
        await deploy.make_current(FIRST)
        for step in BACK:
            await deploy.roll(*step, tree=older)
        await deploy.wave(current=FIRST)
        await stream.until_ended(deploy.submitted)
        yield deploy


async def test_every_case_ends_once_under_the_recipe_that_it_was_admitted_with(deployed: Deploy) -> None:
    tap = deployed.stream.tap
    # A message in flight when its partition is revoked is delivered twice, with equal content: rule 6 allows it.
    admitted = [decode(Case, value) for value in set(tap.values(QUESTION_ADMITTED))]
    recipe_of = {case.case_id: case.recipe_id for case in admitted}
    assert len(admitted) == len(recipe_of) == len(deployed.submitted)
    assert recipe_of.items() >= deployed.recipes.items()
    unnamed = recipe_of.keys() - deployed.recipes.keys()
    assert ids.recipe_id(SECOND) in {recipe_of[case_id] for case_id in unnamed}, "it became current in mid-flight"
    for topic in (*CASES, RECORD_COMPLETED):
        for message in map(orjson.loads, tap.values(topic)):
            assert message["recipe_id"] == recipe_of[message["case_id"]]
    works = {(ids.work_id(*case), 0) for case in recipe_of.items()}
    assert tap.seen.ends().keys() == works
    assert [ends for ends in tap.seen.ends().values() if len(ends) != 1] == []


async def test_every_call_is_what_the_recipe_of_its_case_asks_for(deployed: Deploy) -> None:
    """What was paid for is what this commit would ask for in these cases under their recipes, and nothing else:
    whichever commit's worker asked, it took no prompt, model or sampling of another recipe."""
    async with open_ledger(deployed.stream.ledger) as ledger:
        paid = {call.call_id: call.outcome for call in await ledger.books.calls()}
    models = ScriptedModels(lambda request: paid[request.call_id])
    for topic, handler in CALLERS.items():
        for value in deployed.stream.tap.values(topic):
            case = decode(Case, value)
            await handler(case, RECIPES[case.recipe_id], models)
    assert {request.call_id for request in models.asked} == paid.keys()


async def test_nothing_is_lost_and_nothing_paid_for_twice(deployed: Deploy) -> None:
    assert await deployed.stream.defects() == {}
    said = await deployed.stream.audit()
    assert said["questions"] == said["ended"] == len(deployed.submitted)
    assert (said["call_repeats"], said["dead_letters"]) == (0, 0)
    assert deployed.under_way > 0, "workers were replaced with calls under way"
    assert min(said["accepted"], said["rejected"], *said["routes"].values()) > 0, "every way was gone"


async def test_older_and_newer_workers_were_in_one_group_at_once(deployed: Deploy) -> None:
    starts: defaultdict[tuple[str, Path], list[float]] = defaultdict(list)
    for line in deployed.stream.log():
        if line["event"] == "start":
            pid = str(Owner.parse(line["owner"]).pid)
            starts[line["stage"], deployed.processes[pid]].append(line["at"])
    assert min(starts["verify", PROJECT]) < max(starts["verify", deployed.older])
    # An older leader counts the partitions of the generator's two topics together: beside it, a newer member has only
    # case-undecided. Once the leader is a newer one, each topic is spread by itself.
    for stage in ("generate", "refine", "reason", "summarize"):
        assert starts[stage, PROJECT], stage
        assert starts[stage, deployed.older], stage


async def test_a_field_of_a_newer_version_goes_all_the_way(deployed: Deploy) -> None:
    tap = deployed.stream.tap
    for case_id in (*deployed.newer_submissions, *deployed.newer_cases):
        for topic in (*CASES, RECORD_COMPLETED):
            for message in map(orjson.loads, tap.values(topic, case_id)):
                assert message["question"]["campaign"] == CAMPAIGN
    for case_id in deployed.newer_cases:
        way = [orjson.loads(value) for topic in CASES for value in tap.values(topic, case_id)]
        assert {(message["version"], message["campaign"]) for message in way} == {(NEWER, CAMPAIGN)}
        assert tap.values(CASE_ACCEPTED, case_id) or tap.values(CASE_REJECTED, case_id)


@pytest.mark.parametrize(("name", "newer"), [("generator-1", True), ("verifier-1", False)])
async def test_a_worker_runs_the_code_of_its_commit(deployed: Deploy, name: str, newer: bool) -> None:
    worker = deployed.stream.worker(name)
    argv = [sys.executable, "-m", "inspect", "--details", "services"]
    asked = await asyncio.to_thread(
        subprocess.run, argv, cwd=worker.cwd, env=worker.env, capture_output=True, text=True, check=True
    )
    tree = PROJECT if newer else deployed.older
    assert f"Origin: {tree / 'services' / '__init__.py'}\n" in asked.stdout


async def test_the_dataset_holds_each_record_once(deployed: Deploy, tmp_path: Path) -> None:
    stream = deployed.stream
    exporter = stream.worker("exporter-1")
    assert await exporter.terminate(DRAIN_S) == 0
    async with Process("rest", [*exporter.argv, "--once"], log=tmp_path / "log", env=exporter.env, cwd=PROJECT) as rest:
        await rest.succeed()
    rows = read_dataset((exporter.env or {})["REASONMED_EXPORT__OUT"]).select(["record_id", "case_id", "extra"])
    assert Counter(rows["record_id"].to_pylist()) == Counter(list(stream.tap.seen.records))
    newer = {*deployed.newer_submissions, *deployed.newer_cases}
    extended = {row["case_id"] for row in rows.to_pylist() if row["extra"] and CAMPAIGN in row["extra"]}
    assert extended == newer & set(rows["case_id"].to_pylist())

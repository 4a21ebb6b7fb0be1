"""A rolling deploy as a test has it in hand: questions come in all the while, and workers are replaced one by one."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from services.contracts.codec import encode
from services.contracts.question import Question, Submission
from services.contracts.recipe import Recipe, Routing
from services.contracts.topics import QUESTION_ADMITTED, QUESTION_SUBMITTED
from services.core import ids
from services.core.messages import OutgoingRecord, Position
from services.ledger import open_ledger
from services.local.processes.process import Process
from services.recipes import load
from services.router.admission import new_case
from services.worker.publishing import publish_recipe
from tests.kafka.stream import Stream, submission
from tests.kafka.tap import ask_until

WAVE = 14
"""Questions handed in before each step: ten of them through the gateway."""
DRAIN_S = 60
"""Far longer than a call: so SIGTERM costs none."""
CAMPAIGN = "spring"
"""The value of a field that only a newer version would know."""
NEWER = "1.99"


def recipe() -> Recipe:
    """The default one, with three paths a question."""
    default = load("default")
    plan = default.generate.plan[:3]
    return default.with_(
        name="first", generate=default.generate.with_(plan=plan), routing=Routing(easy=2, medium=1, keep=2)
    )


FIRST = recipe()
SECOND = FIRST.with_(
    name="second",
    generate=FIRST.generate.with_(prompt=f"{FIRST.generate.prompt}\nBe brief.\n"),
    verify=FIRST.verify.with_(sampling=FIRST.verify.sampling.with_(temperature=0.1)),
)
RECIPES = {ids.recipe_id(recipe): recipe for recipe in (FIRST, SECOND)}


class Deploy:
    """Questions come in all the while; workers are replaced one by one."""

    def __init__(self, stream: Stream, older: Path, unasked: Iterator[Question]) -> None:
        self.stream = stream
        self.older = older
        self.submitted: list[Question] = []
        self.recipes: dict[str, str] = {}
        """Of a case, the recipe that it must have: named, or current beyond doubt."""
        self.newer_submissions: list[str] = []
        self.newer_cases: list[str] = []
        self.processes: dict[str, Path] = {}
        """What each process ran, by its id."""
        self.under_way = 0
        """Calls that were under way in workers when they received SIGTERM."""
        self._unasked = unasked

    async def start(self, *names: str, tree: Path) -> None:
        await self.stream.start(*names, tree=tree)
        self.processes |= {str(self.stream.worker(name).pid): tree for name in names}

    async def roll(self, *names: str, tree: Path, current: Recipe | None = None) -> None:
        """Replace workers in full flight."""
        wave = await self.wave(current)
        await asyncio.gather(*(self._replace(name, tree, wave) for name in names))

    async def _replace(self, name: str, tree: Path, wave: Sequence[Question]) -> None:
        worker = self.stream.worker(name)
        asks = name.startswith(("generator", "verifier"))  # to these every case comes, to others only some
        await ask_until(lambda: self._begun(wave, worker if asks else None), bool, within_s=150.0)
        self.under_way += len(self.stream.under_way(self.submitted, worker))
        assert await worker.terminate(DRAIN_S) == 0, worker.log_tail()
        await self.start(name, tree=tree)

    async def _begun(self, wave: Sequence[Question], worker: Process | None) -> bool:
        """Whether calls about these were begun, by this worker or any."""
        mine = "" if worker is None else f"-{worker.pid}-"
        return any(mine in line["owner"] for line in self.stream.log(wave))

    async def make_current(self, recipe: Recipe) -> None:
        """For the questions to come: those before are admitted first, under the recipe that was current then."""
        before = {ids.case_id(question).encode() for question in self.submitted}
        await ask_until(self._admitted, lambda admitted: before <= admitted)
        limit = self.stream.client.max_message_bytes
        await publish_recipe(self.stream.sink, recipe, current=True, max_message_bytes=limit)

    async def _admitted(self) -> set[bytes | None]:
        return {message.key for message in self.stream.tap.messages[QUESTION_ADMITTED]}

    async def wave(self, current: Recipe | None = None) -> Sequence[Question]:
        """Hand questions in, and return them. `current`: the recipe that every router has for those that name none, if
        that can be sent."""
        first, second, third, admitted, *plain = (next(self._unasked) for _ in range(WAVE))
        await self._post(plain)
        await self.stream.submit([first], FIRST)
        await self.stream.submit([second], SECOND)
        await self._submit_newer(third)
        await self._admit_newer(admitted)
        wave = [first, second, third, admitted, *plain]
        self.submitted += wave
        under = [(first, FIRST), (second, SECOND), (admitted, SECOND)]
        under += [(question, current) for question in (third, *plain) if current]
        self.recipes |= {ids.case_id(question): ids.recipe_id(recipe) for question, recipe in under}
        return wave

    async def _post(self, questions: Sequence[Question]) -> None:
        port = (self.stream.worker("gateway-1").env or {})["REASONMED_PORT"]
        async with httpx.AsyncClient(trust_env=False) as http:
            for question in questions:
                body = question.model_dump(exclude_none=True)
                (await http.post(f"http://127.0.0.1:{port}/questions", json=body)).raise_for_status()

    async def _submit_newer(self, question: Question) -> None:
        """As a gateway of a newer version would."""
        extended = question.with_(campaign=CAMPAIGN)
        newer = Submission(version=NEWER, case_id=ids.case_id(extended), question=extended)
        await self.stream.sink.publish([OutgoingRecord(QUESTION_SUBMITTED, newer.case_id.encode(), encode(newer), {})])
        self.newer_submissions.append(newer.case_id)

    async def _admit_newer(self, question: Question) -> None:
        """As a router of a newer version would. To ours, the submission is one that another has admitted."""
        case_id, recipe_id = ids.case_id(question), ids.recipe_id(SECOND)
        extended = question.with_(campaign=CAMPAIGN)
        case = new_case(Submission(case_id=case_id, question=extended), recipe_id)
        case = case.with_(version=NEWER, campaign=CAMPAIGN)
        nowhere = Position(QUESTION_SUBMITTED, 0, 1_000_000 + len(self.newer_cases))
        async with open_ledger(self.stream.ledger) as ledger:
            await ledger.admissions.admit(case_id, named=recipe_id, current=recipe_id, life=0, position=nowhere)
        admitted = OutgoingRecord(QUESTION_ADMITTED, case_id.encode(), encode(case), {})
        await self.stream.sink.publish([submission(question, SECOND), admitted])
        self.newer_cases.append(case_id)

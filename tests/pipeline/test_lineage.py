"""The calls of a case are listed again from its messages, recipe and ledger: exactly those that were asked."""

from collections.abc import Sequence

from services.contracts.case import Usage
from services.core.ledger.calls import Answer, Outcome, Reply, Request
from services.core.ledger.spending import price_of
from services.core.messages import Emit
from services.ledger.memory.ledger import memory_ledger
from services.lineage.calls import Read, calls_of
from services.lineage.data import call_data, texts
from services.llm.fake import ScriptedModels
from tests.pipeline.test_whole_case import GOOD, RECIPE, Stream, scripted


class Ledgered(ScriptedModels):
    """Scripted models whose outcomes go into a ledger, as the dispatcher writes them."""

    def __init__(self, models: ScriptedModels) -> None:
        super().__init__(models._script)
        self.ledger = memory_ledger()

    async def ask(self, requests: Sequence[Request]) -> list[Answer]:
        answers = await super().ask(requests)
        for answer in answers:
            asked = answer.request
            price = price_of(asked.model, case_id=asked.case_id, alias=asked.alias, stage=asked.stage, sends=2)
            outcomes = {asked.call_id: answer.outcome}
            await self.ledger.calls.complete(outcomes, owner="w", prices={asked.call_id: price})
        return answers


class Told(Stream):
    """Keeps what each service read."""

    def __init__(self, models: ScriptedModels) -> None:
        super().__init__(models)
        self.read: list[Read] = []

    async def handle(self, topic: str) -> list[Emit]:
        self.read.append(Read(topic, self.last))
        return await super().handle(topic)


async def test_every_call_of_a_refined_case_is_found_with_its_prompt_and_reply() -> None:
    models = Ledgered(scripted(3, refiner=lambda request: GOOD.format(score=5, who="the refiner")))
    stream = Told(models)
    await stream.run()
    found = await calls_of(stream.read, RECIPE, models.ledger.books)
    assert [call.call_id for call in found] == [request.call_id for request in models.asked]
    assert [texts(call)["prompt"] for call in found] == [request.prompt for request in models.asked]
    assert {call_data(call)["outcome"] for call in found} == {"reply"}
    assert {call_data(call)["sends"] for call in found} == {2}
    by_id = {call.call_id: call for call in found}
    for record in stream.records:
        assert {call.call_id for call in record.calls} <= by_id.keys()
    for path in stream.last.paths:
        for call in path.calls:
            assert by_id[call.call_id].path == f"{path.origin} {path.round}/{path.slot}"
            assert by_id[call.call_id].usage == call.usage


async def test_a_pruned_ledger_still_gives_the_prompts_that_need_no_reply() -> None:
    models = Ledgered(scripted(7))
    stream = Told(models)
    await stream.run()
    found = await calls_of(stream.read, RECIPE, memory_ledger().books)
    assert [call.request.prompt for call in found if call.request.stage == "generate"] == [
        request.prompt for request in models.asked if request.stage == "generate"
    ]
    assert {call_data(call)["outcome"] for call in found} == {"absent"}


async def test_asks_after_unreadable_replies_are_calls_of_their_own() -> None:
    models = scripted(7)
    script = models._script

    def unreadable_once(request: Request) -> Outcome:
        first = request.stage == "verify" and request.ask[1] == 0
        return Reply("no verdict", "stop", Usage(prompt=9, completion=2)) if first else script(request)

    ledgered = Ledgered(ScriptedModels(unreadable_once))
    stream = Told(ledgered)
    await stream.run()
    found = await calls_of(stream.read, RECIPE, ledgered.ledger.books)
    assert sorted(call.request.ask[1] for call in found if call.request.stage == "verify") == [0] * 9 + [1] * 9

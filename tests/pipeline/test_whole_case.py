"""A whole case from admission to its end, in memory: no broker, no model; all handlers and the routing rule.

The models are scripted: each path states its answer on its last line, and the judge accepts exactly the paths whose
text begins with "Sound".
"""

import json
import re
from collections.abc import Callable

from services.contracts.case import Case, Usage
from services.contracts.codec import decode, encode
from services.contracts.recipe import Recipe
from services.contracts.record import Record
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_DIFFICULT,
    CASE_MEDIUM,
    CASE_REJECTED,
    CASE_UNDECIDED,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    RECORD_COMPLETED,
)
from services.core.ledger.calls import Outcome, Reply, Request
from services.core.messages import Emit
from services.generator.handler import generate
from services.llm.fake import ScriptedModels
from services.refiner.handler import reason_again, refine
from services.router.routing_table import onward
from services.summarizer.handler import summarize
from services.verifier.handler import verify
from tests.strategies import case, recipe

RECIPE = recipe()
GOOD = "Sound, {score} of 5, by {who}.\nFinal answer: C"
BAD = "Unsound, by {who}.\nFinal answer: D"


class Stream:
    """The topics in memory: each message is encoded and decoded, and the case's topics are recorded."""

    def __init__(self, models: ScriptedModels, recipe: Recipe = RECIPE) -> None:
        self.models = models
        self.recipe = recipe
        self.route: list[str] = []
        self.records: list[Record] = []
        self.last = case()

    async def run(self) -> None:
        """Follow the case until it ends."""
        arrived = [Emit(QUESTION_ADMITTED, self.last.case_id, self.last)]
        while arrived:
            emit = arrived.pop(0)
            if not self.route or self.route[-1] != emit.topic:
                self.route.append(emit.topic)
            if emit.topic == RECORD_COMPLETED:
                self.records.append(decode(Record, encode(emit.message)))
            else:
                self.last = decode(Case, encode(emit.message))
                arrived += await self.handle(emit.topic)

    async def handle(self, topic: str) -> list[Emit]:
        """Handle the case with the service that reads this topic."""
        match topic:
            case "question-admitted" | "case-undecided":
                return await generate(self.last, self.recipe, self.models)
            case "paths-generated":
                return await verify(self.last, self.recipe, self.models)
            case "paths-verified":
                return [onward(self.last, self.recipe)]
            case "case-medium":
                return await refine(self.last, self.recipe, self.models)
            case "case-difficult":
                return await reason_again(self.last, self.recipe, self.models)
            case "case-accepted":
                return await summarize(self.last, self.recipe, self.models)
            case "case-rejected":
                return []
        raise AssertionError(topic)


def scripted(
    good_of_nine: int,
    *,
    refiner: Callable[[Request], str] = lambda request: BAD.format(who="the refiner"),
    strong: Callable[[Request], str] = lambda request: BAD.format(who="the strong model"),
) -> ScriptedModels:
    """Scripted models: the first `good_of_nine` generated paths are sound, scored 1, 2, 3, 1, 2, 3 …"""
    written = iter(range(9))

    def generated() -> str:
        slot = next(written)
        return GOOD.format(score=slot % 3 + 1, who=f"slot {slot}") if slot < good_of_nine else BAD.format(who=slot)

    def answer(request: Request) -> Outcome:
        match request.stage:
            case "generate":
                text = generated()
            case "verify":
                sound = "<path>Sound" in request.prompt
                text = json.dumps({"verdict": "Correct" if sound else "Error", "reason": "Seen."})
            case "score":
                text = json.dumps({"score": int(scored(request.prompt)), "justification": "Weighed."})
            case "refine":
                text = refiner(request)
            case "reason":
                text = strong(request)
            case "summarize":
                text = f"In short: {path_of(request.prompt).splitlines()[0]}"
        return Reply(text, "stop", Usage(prompt=len(request.prompt), completion=len(text)))

    return ScriptedModels(answer)


def path_of(prompt: str) -> str:
    return prompt.split("<path>")[1].split("</path>")[0]


def scored(prompt: str) -> str:
    found = re.search(r"(\d) of 5", path_of(prompt))
    assert found is not None, "only sound paths are scored"
    return found[1]


def paid(stream: Stream) -> dict[str, int]:
    """Calls by stage; no call id twice."""
    asked = stream.models.asked
    assert len({request.call_id for request in asked}) == len(asked)
    return {stage: sum(request.stage == stage for request in asked) for stage in dict.fromkeys(r.stage for r in asked)}


def summaries(stream: Stream) -> list[str]:
    return [record.summary for record in stream.records]


async def test_adaptive_five_sound_paths_decide_at_once() -> None:
    stream = Stream(scripted(good_of_nine=7), RECIPE.with_(sampling="adaptive"))
    await stream.run()
    assert stream.route == [QUESTION_ADMITTED, PATHS_GENERATED, PATHS_VERIFIED, CASE_ACCEPTED, RECORD_COMPLETED]
    assert paid(stream) == {"generate": 5, "verify": 5, "score": 5, "summarize": 2}


async def test_adaptive_a_case_comes_back_until_it_is_decided() -> None:
    stream = Stream(scripted(good_of_nine=0), RECIPE.with_(sampling="adaptive"))
    await stream.run()
    wave = [PATHS_GENERATED, PATHS_VERIFIED]
    assert stream.route[:6] == [QUESTION_ADMITTED, *wave, CASE_UNDECIDED, *wave]
    assert stream.last.difficulty == "difficult"
    assert paid(stream)["generate"] == 8, "the ninth could not make it medium"


async def test_easy_the_best_two_of_the_plan_become_records() -> None:
    stream = Stream(scripted(good_of_nine=7))
    await stream.run()
    assert stream.route == [QUESTION_ADMITTED, PATHS_GENERATED, PATHS_VERIFIED, CASE_ACCEPTED, RECORD_COMPLETED]
    assert paid(stream) == {"generate": 9, "verify": 9, "score": 7, "summarize": 2}
    assert summaries(stream) == ["In short: Sound, 3 of 5, by slot 2.", "In short: Sound, 3 of 5, by slot 5."]
    assert {record.difficulty for record in stream.records} == {"easy"}


async def test_medium_a_better_text_replaces_its_parent_and_a_worse_one_does_not() -> None:
    def refiner(request: Request) -> str:
        best = "3 of 5" in path_of(request.prompt)
        return GOOD.format(score=5 if best else 0, who="the refiner of " + ("the best" if best else "the second"))

    stream = Stream(scripted(good_of_nine=3, refiner=refiner))
    await stream.run()
    assert stream.route == [
        *(QUESTION_ADMITTED, PATHS_GENERATED, PATHS_VERIFIED),
        *(CASE_MEDIUM, PATHS_GENERATED, PATHS_VERIFIED),
        *(CASE_ACCEPTED, RECORD_COMPLETED),
    ]
    assert paid(stream) == {"generate": 9, "verify": 11, "score": 5, "refine": 2, "summarize": 2}
    assert summaries(stream) == [
        "In short: Sound, 5 of 5, by the refiner of the best.",
        "In short: Sound, 2 of 5, by slot 1.",
    ]
    refined = stream.records[0]
    assert (refined.difficulty, refined.origin) == ("medium", "refined")
    assert [call.stage for call in refined.calls] == [
        *("generate", "verify", "score"),
        *("refine", "verify", "score"),
        "summarize",
    ]


async def test_medium_with_bad_rewrites_only_keeps_the_parents() -> None:
    stream = Stream(scripted(good_of_nine=3))
    await stream.run()
    assert summaries(stream) == ["In short: Sound, 3 of 5, by slot 2.", "In short: Sound, 2 of 5, by slot 1."]


async def test_difficult_correct_paths_of_the_strong_model_are_accepted() -> None:
    attempts = iter([BAD.format(who="the strong model"), GOOD.format(score=4, who="the strong model")])
    stream = Stream(scripted(good_of_nine=1, strong=lambda request: next(attempts)))
    await stream.run()
    assert stream.route == [
        *(QUESTION_ADMITTED, PATHS_GENERATED, PATHS_VERIFIED),
        *(CASE_DIFFICULT, PATHS_GENERATED, PATHS_VERIFIED),
        *(CASE_ACCEPTED, RECORD_COMPLETED),
    ]
    assert paid(stream) == {"generate": 9, "verify": 11, "score": 2, "reason": 2, "summarize": 1}
    assert summaries(stream) == ["In short: Sound, 4 of 5, by the strong model."], "the lone original is no candidate"
    assert (stream.records[0].difficulty, stream.records[0].of) == ("difficult", 1)


async def test_difficult_after_two_rounds_without_success_the_case_is_rejected() -> None:
    stream = Stream(scripted(good_of_nine=0))
    await stream.run()
    assert stream.route == [
        *(QUESTION_ADMITTED, PATHS_GENERATED, PATHS_VERIFIED),
        *(CASE_DIFFICULT, PATHS_GENERATED, PATHS_VERIFIED) * 2,
        CASE_REJECTED,
    ]
    assert paid(stream) == {"generate": 9, "verify": 13, "reason": 4}
    assert stream.last.rejected == "no correct path after 2 rounds of the strong model"
    assert stream.last.gold_disputed, "every path said D"
    assert stream.records == []


async def test_the_same_case_run_again_gives_the_same_bytes() -> None:
    first, again = Stream(scripted(good_of_nine=7)), Stream(scripted(good_of_nine=7))
    await first.run()
    await again.run()
    assert [encode(record) for record in first.records] == [encode(record) for record in again.records]
    assert {request.call_id for request in first.models.asked} == {request.call_id for request in again.models.asked}

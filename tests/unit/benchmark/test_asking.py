"""What is asked of a model: the prompts of exports, a seed for each sample, and nothing else."""

from collections.abc import Callable
from pathlib import Path

from services.benchmark.asking import INSTRUCTIONS, Candidate, Item, ask, request
from services.contracts.case import Usage
from services.core.case.chat import chat_prompt
from services.core.ledger.calls import Failure, Outcome, Reply, Request
from services.datasets.export import export
from services.datasets.splits import Splits
from services.llm.fake import ScriptedModels
from tests.unit.datasets.world import request as wish
from tests.unit.datasets.world import rows_of, write_parts
from tests.unit.exporter.world import record

Items = Callable[..., Item]
Candidates = Callable[..., Candidate]


def test_the_prompt_is_that_of_the_export_byte_for_byte(candidate: Candidates, tmp_path: Path) -> None:
    made = record(1)
    write_parts(tmp_path / "parts", [[made]])
    wanted = wish(form="prompt-completion", variant="CoTMed", lineage=False, splits=Splits.parse("train=1", "0"))
    export(wanted, tmp_path / "parts", tmp_path / "out")
    (row,) = rows_of(tmp_path / "out", "train")
    assert request(made.question, candidate(), 0).messages == row["prompt"]


def test_instructions_come_before_the_same_question(item: Items, candidate: Candidates) -> None:
    asked = request(item(1).question, candidate(prompt="instructed"), 0)
    assert asked.messages == chat_prompt(item(1).question, system=INSTRUCTIONS)
    assert asked.messages[1:] == request(item(1).question, candidate(), 0).messages


def test_more_samples_add_calls_and_change_none(item: Items, candidate: Candidates) -> None:
    one, four = ([request(item().question, candidate(), slot) for slot in range(k)] for k in (1, 4))
    assert four[:1] == one
    assert len({each.seed for each in four}) == len({each.call_id for each in four}) == 4


def test_another_model_revision_or_temperature_is_another_call(item: Items, candidate: Candidates) -> None:
    plain = candidate()
    others = [
        plain,
        candidate(model=plain.model.with_(served="m@2")),
        candidate(model=plain.model.with_(revision="2")),
        candidate(sampling=plain.sampling.with_(temperature=0.0)),
    ]
    assert len({request(item().question, each, 0).call_id for each in others}) == 4


async def test_a_letter_counts_only_if_it_is_stated(item: Items, candidate: Candidates) -> None:
    replies: list[Outcome] = [
        Reply("Thus.\nFinal answer: B", "stop", Usage()),
        Reply("It may be B, or C.", "stop", Usage()),
        Reply("Final answer: C", "stop", Usage()),
        Failure("refused"),
    ]

    def answer(asked: Request) -> Outcome:
        return replies[[one.call_id for one in requests].index(asked.call_id)]

    four = candidate(samples=4)
    requests = [request(item().question, four, sample) for sample in range(4)]
    done: list[int] = []
    (answered,) = await ask([item()], four, ScriptedModels(answer), at_once=2, on_done=lambda: done.append(1))
    assert answered.letters == ("B", None, "C", None)
    assert answered.right == 1
    assert done == [1]

"""Asking until a reply can be read."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.base import CaseId
from services.contracts.case import Usage
from services.contracts.recipe import Model, Sampling
from services.core.case.asking import ask_until_read
from services.core.ledger.calls import Failure, Outcome, Reply, Request
from services.llm.fake import ScriptedModels


def request(seed: int, life: int = 0) -> Request:
    return Request(
        case_id=CaseId("case-1"),
        stage="verify",
        alias="judge",
        model=Model(served="judge"),
        prompt="Judge.",
        sampling=Sampling(temperature=1, max_tokens=10),
        seed=seed,
        ask=(life, 0),
    )


def number(reply: Reply) -> int | None:
    return int(reply.text) if reply.text.isdigit() else None


def reply(text: str) -> Reply:
    return Reply(text, "stop", Usage(prompt=1, completion=len(text)))


scripts = st.lists(st.sampled_from(["7", "?", "failed"]), min_size=6, max_size=6)


@given(each=st.lists(scripts, max_size=4), max_asks=st.integers(1, 5), life=st.integers(0, 3))
async def test_each_is_asked_until_it_is_read_fails_or_its_asks_are_used_up(
    each: list[list[str]], max_asks: int, life: int
) -> None:
    def answer(asked: Request) -> Outcome:
        text = each[asked.seed][asked.ask[1]]
        return Failure("away") if text == "failed" else reply(text)

    models = ScriptedModels(answer)
    readings = await ask_until_read(models, [request(n, life) for n in range(len(each))], number, max_asks)

    assert len(readings) == len(each)
    for seed, (script, reading) in enumerate(zip(each, readings, strict=True)):
        first_end = next((n for n, text in enumerate(script[:max_asks]) if text != "?"), max_asks - 1)
        asked = [made for made in models.asked if made.seed == seed]
        assert [made.ask for made in asked] == [(life, n) for n in range(first_end + 1)]
        assert [call.call_id for call in reading.calls] == [made.call_id for made in asked]
        match script[first_end]:
            case "7":
                assert (reading.value, reading.why_not) == (7, "")
            case "failed":
                assert (reading.value, reading.why_not) == (None, "away")
            case _:
                assert (reading.value, reading.why_not) == (None, f"no reply could be read in {max_asks} asks")


async def test_a_new_ask_is_a_new_call_and_the_first_one_is_the_request_itself() -> None:
    models = ScriptedModels(lambda asked: reply("?" if asked.ask == (0, 0) else "7"))
    reading = (await ask_until_read(models, [request(1)], number, 3))[0]
    assert [call.call_id for call in reading.calls] == [
        request(1).call_id,
        replace(request(1), ask=(0, 1)).call_id,
    ]


async def test_nothing_to_ask_is_nothing_asked() -> None:
    models = ScriptedModels(lambda asked: reply("7"))
    assert await ask_until_read(models, [], number, 3) == []
    assert models.asked == []


async def test_a_refusal_is_not_asked_again() -> None:
    models = ScriptedModels(lambda asked: Reply("", "stop", Usage(), problem="the model refused: no"))
    (reading,) = await ask_until_read(models, [request(1)], number, 3)
    assert (reading.value, reading.why_not, len(models.asked)) == (None, "the model refused: no", 1)


async def test_why_the_last_reply_was_interrupted_is_in_the_reason() -> None:
    models = ScriptedModels(lambda asked: Reply("?", "other", Usage(), problem="interrupted: finish reason abort"))
    (reading,) = await ask_until_read(models, [request(1)], number, 2)
    assert reading.why_not == "no reply could be read in 2 asks; the last was interrupted: finish reason abort"

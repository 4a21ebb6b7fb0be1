"""Faults of messages: messages that any producer can write into a topic."""

import asyncio
from collections.abc import Callable
from random import Random

import orjson

from services.contracts.base import RecipeId
from services.contracts.case import Case
from services.contracts.codec import encode
from services.contracts.question import Submission
from services.contracts.topics import QUESTION_ADMITTED, QUESTION_SUBMITTED, RECORD_COMPLETED, topics
from services.core import ids
from services.core.messages import OutgoingRecord
from services.importers.rows import outgoing
from services.local.processes.process import until
from services.protogen.examples import examples
from services.runtime.engine.circuit import CircuitPolicy
from services.runtime.kafka.sink import KafkaSink
from services.worker.publishing import publish_recipe
from tests.chaos.rig import Rig

READ: dict[str, str] = {
    name: topic.group or reader
    for name, topic in topics().items()
    if topic.message in ("submission", "case", "record")
    for reader in topic.read_by
    if reader not in ("taps", "command-line")
}
"""All topics read as a queue, with their consumer group; circuits are per group."""
TIMES = 100
CIRCUIT_WITHIN_S = 240.0
"""A probe runs every 30 s and takes as long as its message, which may be a call of minutes. While messages of the burst
remain, the probe is a dead letter itself."""


async def not_json(rig: Rig, chance: Random) -> str:
    """In each topic: bytes that are not JSON, or not an object."""
    return await _poison(rig, lambda topic: (b"case-x", chance.choice((b"\xff\xfe{", b"{", b"[1]", b"", b"null"))))


async def unknown_major(rig: Rig, chance: Random) -> str:
    """In each topic: a message of a later major version."""

    def later(topic: str) -> tuple[bytes, bytes]:
        key, value = _good(rig, topic)
        return key, orjson.dumps({**orjson.loads(value), "version": "2.0"})

    return await _poison(rig, later)


async def too_large(rig: Rig, chance: Random) -> str:
    """In each topic: a message of the maximum size that does not fit the contract."""
    room = rig.stack.client.max_message_bytes - 4_096
    return await _poison(rig, lambda topic: (b"case-x", b'{"text": "' + b"x" * room + b'"}'))


async def wrong_key(rig: Rig, chance: Random) -> str:
    """In each topic: a valid message with the key of another case."""
    return await _poison(rig, lambda topic: (b"case-" + b"0" * 32, _good(rig, topic)[1]))


async def unknown_fields(rig: Rig, chance: Random) -> str:
    """Fields of a later minor version in a submission and in a case: neither is refused, and the case keeps its field
    in all later topics."""
    question = rig.spare()
    later = orjson.loads(outgoing(question).value) | {"version": "1.9", "urgency": {"level": 3}}
    await rig.put(OutgoingRecord(QUESTION_SUBMITTED, ids.case_id(question).encode(), orjson.dumps(later), {}))
    case = _admitted(rig, rig.stack.recipe_id)
    await rig.put(
        OutgoingRecord(
            QUESTION_ADMITTED, case.case_id.encode(), encode(case.with_(version="1.9", urgency=[3, None])), {}
        )
    )
    rig.known.expected |= {ids.case_id(question), case.case_id}
    rig.known.admitted.add(case.case_id)
    rig.known.marked[case.case_id] = "urgency"
    return "question-submitted question-admitted"


async def burst(rig: Rig, chance: Random) -> str:
    """A burst of dead letters opens a service's circuit; an operator or a probe closes it."""
    topic = chance.choice([topic for topic in READ if topic != RECORD_COMPLETED])
    group = READ[topic]
    for _ in range(CircuitPolicy().burst):
        await _put_poison(rig, topic, b"case-x", b"burst")
    await _until_circuit(rig, group, is_open=True)
    if chance.random() < 0.5:
        await rig.command("circuit", "close", group)
    else:
        rig.submit([rig.spare() for _ in range(12)], chance)  # near the end there may be no other message for the probe
    await _until_circuit(rig, group, is_open=False)
    return f"{group} ({topic})"


async def unknown_recipe(rig: Rig, chance: Random) -> str:
    """A question and a case with an unpublished recipe: dead letters, until it is published and they are redriven."""
    recipe = rig.stack.plan.recipe.with_(name=f"late {chance.randrange(2**32)}")
    rig.known.recipes.append(recipe)
    question = rig.spare()
    case_id, recipe_id = ids.case_id(question), ids.recipe_id(recipe)
    submission = Submission(case_id=case_id, question=question, recipe_id=recipe_id)
    await rig.put(OutgoingRecord(QUESTION_SUBMITTED, case_id.encode(), encode(submission), {}))
    case = _admitted(rig, recipe_id)
    await rig.put(OutgoingRecord(QUESTION_ADMITTED, case.case_id.encode(), encode(case), {}))
    rig.known.expected |= {case_id, case.case_id}
    rig.known.late |= {case_id, case.case_id}
    rig.known.admitted.add(case.case_id)
    return recipe_id


async def hundred(rig: Rig, chance: Random) -> str:
    """The same question a hundred times at once, over HTTP and Kafka."""
    question = rig.spare()
    rig.submit([question] * TIMES, chance)
    return ids.case_id(question)


async def publish_late(rig: Rig) -> None:
    """Publish the recipes of `unknown_recipe`."""
    async with KafkaSink(rig.stack.client) as sink:
        for recipe in rig.known.recipes:
            await publish_recipe(sink, recipe, current=False, max_message_bytes=rig.stack.client.max_message_bytes)


async def _poison(rig: Rig, made: Callable[[str], tuple[bytes, bytes]]) -> str:
    for topic in READ:
        await _put_poison(rig, topic, *made(topic))
    return f"{len(READ)} topics"


async def _put_poison(rig: Rig, topic: str, key: bytes, value: bytes) -> None:
    rig.known.poison[await rig.put(OutgoingRecord(topic, key, value, {}))] = value


def _good(rig: Rig, topic: str) -> tuple[bytes, bytes]:
    """A valid message for the topic, of a new question."""
    if topic == QUESTION_SUBMITTED:
        message = outgoing(rig.spare())
        return message.key, message.value
    if topic == RECORD_COMPLETED:
        record = examples()["record"]
        return record.model_dump()["case_id"].encode(), encode(record)
    case = _admitted(rig, rig.stack.recipe_id)
    return case.case_id.encode(), encode(case)


def _admitted(rig: Rig, recipe_id: RecipeId) -> Case:
    question = rig.spare()
    case_id = ids.case_id(question)
    return Case(case_id=case_id, work_id=ids.work_id(case_id, recipe_id), recipe_id=recipe_id, question=question)


async def _until_circuit(rig: Rig, group: str, *, is_open: bool) -> None:
    async def is_so() -> bool:
        return (await rig.ledger.circuits.why(group) is not None) == is_open

    async with asyncio.timeout(CIRCUIT_WITHIN_S):
        await until(is_so, every=0.5)

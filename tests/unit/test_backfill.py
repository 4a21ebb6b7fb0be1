"""A question of the lane backfill: how it goes in, that it stays in its lane, and that every reader counts it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.codec import encode
from services.contracts.question import Submission
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_DIFFICULT,
    CASE_MEDIUM,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    QUESTION_SUBMITTED,
    RECORD_COMPLETED,
    Lane,
    in_lane,
    lane_of,
)
from services.core import ids
from services.core.messages import ConsumedRecord, Emit
from services.core.models import Models
from services.core.status.case_status import CaseHistory
from services.core.status.store import Tally
from services.deadletters.redrive import redrive
from services.gateway.ingest.submissions import from_array, from_json, from_line
from services.importers.files import Observer, submit_file
from services.importers.formats import Asked
from services.importers.submit import Stop
from services.ledger.memory.ledger import memory_ledger
from services.llm.fake import ScriptedModels
from services.local.progress import Progress
from services.monitor.events import case_event
from services.monitor.figures import FiguresInputs, build_figures
from services.monitor.scaling import build_scale
from services.protogen.examples import CASE_ID, RECIPE, RECIPE_ID, examples
from services.router.__main__ import handlers
from services.worker.handling import stage
from services.worker.recipes import Recipes
from tests import sightings
from tests.letters import of
from tests.strategies import QUESTION, case
from tests.unit.importers.sources import ROW, ListSink, lines, written
from tests.unit.taps.streams import ask

CASE: Any = examples()["case"]
SUBMISSION = Submission(case_id=ids.case_id(QUESTION), question=QUESTION)
STAGES = (QUESTION_ADMITTED, PATHS_GENERATED, PATHS_VERIFIED, CASE_MEDIUM, CASE_DIFFICULT, CASE_ACCEPTED)
BACKFILL = in_lane(QUESTION_SUBMITTED, "backfill")


@pytest.fixture
def recipes() -> Recipes:
    made = Recipes()
    for key, value in ((RECIPE_ID, encode(RECIPE)), ("current", f'"{RECIPE_ID}"'.encode())):
        made.take(ConsumedRecord("recipes", 0, 0, key.encode(), value, {}))
    made.caught_up.set()
    return made


def test_the_gateway_writes_to_the_lane_that_the_query_names() -> None:
    body = encode(QUESTION)
    live: Sequence[Any] = [from_json(body, None), from_line(body, None), *from_array(b"[" + body + b"]", None)]
    late: Sequence[Any] = [
        from_json(body, None, "backfill"),
        from_line(body, None, "backfill"),
        *from_array(b"[" + body + b"]", None, "backfill"),
    ]
    assert [each.topic for each in live] == [QUESTION_SUBMITTED] * 3
    assert [each.topic for each in late] == [BACKFILL] * 3
    assert [each.value for each in late] == [each.value for each in live], "a lane is no part of a message"


@pytest.mark.parametrize(("lane", "topic"), [("live", QUESTION_SUBMITTED), ("backfill", BACKFILL)])
async def test_a_file_is_submitted_in_the_lane_of_its_command(tmp_path: Path, lane: Lane, topic: str) -> None:
    file, sink = written(tmp_path / "a.jsonl", lines([ROW])), ListSink()
    await submit_file(file, Asked(lane=lane), "c", sink, observer=Observer(), stop=Stop())
    assert [message.topic for batch in sink.batches for message in batch] == [topic]


class Context:
    """What the router's handlers need."""

    def __init__(self, recipes: Recipes) -> None:
        self.recipes, self.ledger = recipes, memory_ledger()


@pytest.mark.parametrize(
    ("topic", "headers", "lane"),
    [
        (QUESTION_SUBMITTED, {}, "live"),
        (QUESTION_SUBMITTED, {"lane": b"backfill"}, "backfill"),
        (QUESTION_SUBMITTED, {"lane": b"live"}, "live"),
        (BACKFILL, {}, "backfill"),
    ],
)
async def test_admission_keeps_the_lane_of_the_topic_or_the_header(
    recipes: Recipes, topic: str, headers: dict[str, bytes], lane: Lane
) -> None:
    handle: Any = handlers(Context(recipes))[QUESTION_SUBMITTED]  # type: ignore[arg-type]
    [admitted] = await handle(ConsumedRecord(topic, 0, 0, SUBMISSION.case_id.encode(), encode(SUBMISSION), headers))
    assert admitted.topic == in_lane(QUESTION_ADMITTED, lane)


async def test_a_question_in_both_lanes_is_worked_on_once(recipes: Recipes) -> None:
    handle: Any = handlers(Context(recipes))[QUESTION_SUBMITTED]  # type: ignore[arg-type]
    record = ConsumedRecord(BACKFILL, 0, 0, SUBMISSION.case_id.encode(), encode(SUBMISSION), {})
    assert len(await handle(record)) == 1
    assert await handle(ConsumedRecord(QUESTION_SUBMITTED, 0, 0, record.key, record.value, {})) == []
    assert len(await handle(record)) == 1, "the same message, read again"


@pytest.mark.parametrize("lane", ["live", "backfill"])
async def test_a_stage_answers_in_the_lane_of_its_message_and_asks_in_it(recipes: Recipes, lane: Lane) -> None:
    asked: list[Lane] = []

    def models(of_lane: Lane) -> Models:
        asked.append(of_lane)
        return ScriptedModels(lambda request: pytest.fail("no call"))

    async def handler(found: Any, recipe: Any, models: Models) -> list[Emit]:
        return [Emit(topic, found.case_id, found) for topic in (PATHS_VERIFIED, RECORD_COMPLETED)]

    handle = stage(handler, recipes, models)
    found = await handle(ConsumedRecord(in_lane(PATHS_GENERATED, lane), 0, 0, CASE_ID.encode(), encode(CASE), {}))
    assert [each.topic for each in found] == [in_lane(PATHS_VERIFIED, lane), RECORD_COMPLETED]
    assert found[0].value == encode(CASE)
    assert asked == [lane]


@given(topic=st.sampled_from(STAGES), lane=st.sampled_from(["live", "backfill"]))
def test_a_redrive_keeps_the_lane(topic: str, lane: Lane) -> None:
    live, same = redrive(of(case(), topic)), redrive(of(case(), in_lane(topic, lane)))
    assert same.message.topic == in_lane(live.message.topic, lane)
    assert same.message.value == live.message.value
    submitted = redrive(of(SUBMISSION, in_lane(QUESTION_SUBMITTED, lane))).message
    assert lane_of(submitted.topic) == lane


@given(st.lists(st.sampled_from(STAGES), min_size=1, unique=True))
def test_a_case_has_the_same_status_in_either_lane(way: list[str]) -> None:
    def status(lane: Lane) -> Any:
        events = [sightings.case_event(in_lane(topic, lane)) for topic in way]
        history, delta = CaseHistory(events[0].case_id).with_(events)
        return history.statuses(), delta

    assert status("backfill") == status("live")


def test_the_monitor_reads_cases_of_the_backfill() -> None:
    late = case_event(ConsumedRecord(in_lane(CASE_ACCEPTED, "backfill"), 0, 0, CASE_ID.encode(), encode(CASE), {}))
    live = case_event(ConsumedRecord(CASE_ACCEPTED, 0, 0, CASE_ID.encode(), encode(CASE), {}))
    assert (late.topic, late.key, late.rank) == (live.topic, live.key, live.rank)
    assert late.position.topic == in_lane(CASE_ACCEPTED, "backfill"), "where its message can be read"


def test_figures_and_scaling_count_both_lanes() -> None:
    lag = {PATHS_GENERATED: {"verifier": 2, "monitor": 1}, in_lane(PATHS_GENERATED, "backfill"): {"verifier": 5}}
    tally = Tally({}, {}, {}, {}, {}, {}, ())
    figures = build_figures(1.0, behind_s=0.0, tally=tally, inputs=FiguresInputs(lag=lag), tokens_per_s=0.0)
    topics = {each.topic: each.lag for each in figures.topics}
    assert topics[PATHS_GENERATED] == {"verifier": 7, "monitor": 1}
    assert not [topic for topic in topics if lane_of(topic) == "backfill"]
    both, live = (
        build_scale(1.0, left=left, lag={}, recipe=RECIPE, routes={}, stopped=False)
        for left in (lag, {PATHS_GENERATED: {"verifier": 7, "monitor": 1}})
    )
    assert both == live


def test_runs_and_tables_count_both_lanes() -> None:
    progress = Progress()
    for topic in (BACKFILL, in_lane(PATHS_GENERATED, "backfill")):
        progress.take(ConsumedRecord(topic, 0, 0, b"case", b"{}", {}))
    assert progress.counts() == {QUESTION_SUBMITTED: 1, PATHS_GENERATED: 1}
    [row] = ask([(in_lane(CASE_ACCEPTED, "backfill"), CASE)], "FROM cases")
    assert row["ended"] == "accepted"

"""The scripted server's windows of faults: they hit what begins in them, and end by themselves."""

from types import SimpleNamespace

import pytest

from services.core.endpoint import Endpoint
from services.core.errors import Retry
from services.core.ledger.calls import Reply
from services.llm.scripted import faults
from services.llm.scripted.faults import Fault, Faults, Window
from services.llm.scripted.log import Log
from services.llm.troubles import Busy, Refuses, TimedOut
from tests.http.faulty_server import outcomes


@pytest.mark.parametrize(
    ("kind", "trouble", "status"),
    [
        ("401", Refuses, 401),
        ("429", Busy, 429),
        ("500", Retry, 500),
        ("502", Retry, 502),
        ("503", Busy, 503),
        ("error_in_200", Busy, 200),
        ("reset", Retry, 200),
    ],
)
async def test_a_window_hits_what_begins_in_it(faulted_server, request_of, kind, trouble, status):
    async with faulted_server() as server:
        await server.window(kind)
        (hit,) = await outcomes(server.endpoint, [request_of(1)])
        assert await server.control("DELETE") == 204
        (well,) = await outcomes(server.endpoint, [request_of(1)])
    assert type(hit) is trouble
    assert isinstance(well, Reply)
    if isinstance(hit, Busy) and kind == "429":
        assert hit.retry_after == 1
    first, second = server.lines("end")
    assert (first["status"], first["fault"], first["withheld"]) == (status, kind, True)
    assert "fault" not in second
    opened, closed = server.lines("window")
    assert opened["kind"] == closed["kind"] == kind
    assert opened["until"] - opened["at"] == pytest.approx(600)
    assert opened["at"] == closed["at"] <= closed["until"] < opened["until"]


async def test_slow_is_late_and_well(faulted_server, request_of):
    async with faulted_server() as server:
        (due,) = await outcomes(server.endpoint, [request_of(1)])
        await server.window("slow", delay_s=600)
        (late,) = await outcomes(Endpoint(server.endpoint.base_url, timeout_s=0.2), [request_of(1)])
        await server.control("DELETE")
        await server.window("slow", delay_s=0.01)
        (well,) = await outcomes(server.endpoint, [request_of(1)])
    assert isinstance(late, TimedOut)
    assert well == due
    _, waited, came = server.lines("end")
    assert (waited["fault"], waited["reset"], "withheld" in waited) == ("slow", True, False)
    assert (came["fault"], came["status"], "withheld" in came, "text" in came) == ("slow", 200, False, True)


async def test_a_hanging_request_ends_with_its_client(faulted_server, request_of):
    async with faulted_server() as server:
        await server.window("hang")
        (hung,) = await outcomes(Endpoint(server.endpoint.base_url, timeout_s=0.2), [request_of(1)])
    assert isinstance(hung, TimedOut)
    (line,) = server.lines("end")
    assert (line["status"], line["reset"], line["fault"], line["withheld"]) == (None, True, "hang", True)


async def test_a_window_of_a_share_hits_a_share(faulted_server, request_of):
    async with faulted_server() as server:
        await server.window("500", share=0.5)
        came = await outcomes(server.endpoint, [request_of(number) for number in range(100)])
    assert 30 < sum(isinstance(outcome, Retry) for outcome in came) < 70


async def test_an_invalid_window_is_refused(faulted_server):
    async with faulted_server() as server:
        for wrong in (
            b"",
            b'{"kind": "429"}',
            b'{"kind": "broken", "seconds": 5}',
            b'{"kind": "429", "seconds": 0}',
            b'{"kind": "429", "seconds": 5, "share": 2}',
            b'{"kind": "429", "seconds": 5, "shares": 1}',
        ):
            assert await server.control("POST", wrong) == 400
        assert server.lines("window") == []


def test_a_window_ends_by_itself(monkeypatch):
    clock = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(faults, "time", SimpleNamespace(time=lambda: clock.now))
    drawing = Faults(0.0, Log(None), seed=1)
    drawing.open(Window(kind="500", seconds=5))
    clock.now = 1_004.9
    assert drawing.draw("call", "generate") == Fault("500")
    clock.now = 1_005.0
    assert drawing.draw("call", "generate") is None

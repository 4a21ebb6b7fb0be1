"""The scripted server's HTTP side: slots, latency, faults, log."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from aiohttp import web
from pydantic import ValidationError

from services.contracts.base import CaseId
from services.contracts.codec import explain
from services.llm.scripted import faults
from services.llm.scripted.asks import CHARACTERS_A_TOKEN, JUDGED_BEGIN, JUDGES, Ask, Said
from services.llm.scripted.faults import Fault, Faults, Window
from services.llm.scripted.log import PROBE, Entry, Log
from services.llm.scripted.script import Script
from services.llm.scripted.seeded import fraction, text_digest

_REFUSALS = {
    "401": "invalid_api_key",
    "403": "content_filter",
    "429": "rate_limit_exceeded",
    "502": "bad_gateway",
    "503": "service_unavailable",
}
_FINISH = {"other": "error"}
"""The finish reason of an interrupted reply, as from OpenRouter."""
_LARGEST_REQUEST = 16 * 2**20
BACKLOG = 4_096
"""The listen backlog: with the default of 128, a client that opens hundreds of connections at once waits for
retries."""


@dataclass(frozen=True)
class Latency:
    """Seconds between a request's getting a slot and its reply, drawn evenly by the call's id."""

    least_s: float
    most_s: float

    @classmethod
    def parse(cls, text: str) -> "Latency":
        """From `0.2` or `0.1:20`. Raises ValueError."""
        least, _, most = text.partition(":")
        latency = cls(float(least), float(most or least))
        if not 0 <= latency.least_s <= latency.most_s:
            raise ValueError(f"latency {text}: give seconds, or least:most")
        return latency

    def of(self, call_id: str, seed: int) -> float:
        """This call's latency in seconds."""
        return self.least_s + (self.most_s - self.least_s) * fraction(seed, "latency", call_id)


@dataclass(frozen=True)
class Load:
    """The capacity of the server."""

    slots: int
    latency: Latency
    queue: int | None = None
    """Requests beyond the slots that may wait; None: any number. Further ones are refused."""
    full_status: Literal[429, 503] = 429
    """How they are refused: 503 as vLLM does, 429 as hosted APIs do."""
    refuse_share: float = 0.0
    """The share of prompts that a content filter refuses (403), for every caller and at every try."""


@dataclass(frozen=True)
class Answer:
    """A response, and its fields for the log."""

    status: int
    body: bytes
    notes: Mapping[str, Any]


class ScriptedServer:
    """The HTTP handlers of one server. `fault_rate`: of the replies, so many go wrong."""

    def __init__(self, script: Script, load: Load, log: Log, *, seed: int, fault_rate: float = 0.0) -> None:
        self._script = script
        self._load = load
        self._log = log
        self._seed = seed
        self._faults = Faults(fault_rate, log, seed=seed)
        self._slots = asyncio.Semaphore(load.slots)
        self._waiting = 0

    def app(self) -> web.Application:
        """The application: run it with handler_cancellation, so that a client that goes away ends its request."""
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_post("/faults", self._open_window)
        app.router.add_delete("/faults", self._close_windows)
        return app

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        headers = request.headers
        stage, case_id = headers.get("X-Stage", ""), CaseId(headers.get("X-Case-Id", ""))
        call_id, _, attempt = headers.get("X-Request-Id", "").partition(".")
        if call_id == PROBE:
            stage = ""
        entry = self._log.begin(call_id, headers.get("X-Owner", ""), stage, case_id, attempt)
        fault = self._faults.draw(call_id, stage)
        try:
            answer = await self._answer(await request.read(), stage, case_id, entry, fault)
            send = _send_and_reset if fault is not None and fault.kind == "reset" else _send
            response = await send(request, answer)
        except (asyncio.CancelledError, ConnectionError):
            self._log.end(entry, None, fault.notes(stage) if fault is not None else {})
            raise
        self._log.end(entry, answer.status, answer.notes)
        return response

    async def _answer(self, data: bytes, stage: str, case_id: CaseId, entry: Entry, fault: Fault | None) -> Answer:
        try:
            chat = orjson.loads(data)
            ask = _ask(chat, stage, case_id)
        except (ValueError, TypeError, KeyError, AttributeError):
            return Answer(400, _error("invalid_request_error"), {})
        if fault is not None and fault.kind in _REFUSALS:
            return Answer(int(fault.kind), _error(_REFUSALS[fault.kind]), fault.notes(stage))
        if self._is_refused(ask):
            return Answer(403, _error("content_filter"), {"withheld": True})
        if self._is_full():
            return Answer(self._load.full_status, _error(_REFUSALS[str(self._load.full_status)]), {"withheld": True})
        async with self._slot():
            latency_s = self._load.latency.of(entry.named["id"], self._seed)
            await asyncio.sleep(latency_s + (fault.delay_s if fault is not None else 0.0))
            if fault is None:
                return _completion(chat["model"], ask, self._script.reply(ask), entry)
            return _spoilt(_completion(chat["model"], ask, self._script.reply(ask, fault.kind), entry), fault, stage)

    async def _open_window(self, request: web.Request) -> web.Response:
        try:
            self._faults.open(Window.model_validate_json(await request.read()))
        except ValidationError as error:
            return web.Response(status=400, text=explain(error))
        return web.Response(status=204)

    async def _close_windows(self, _: web.Request) -> web.Response:
        self._faults.close()
        return web.Response(status=204)

    def _is_refused(self, ask: Ask) -> bool:
        return fraction(self._seed, "filter", ask.prompt, ask.seed) < self._load.refuse_share

    def _is_full(self) -> bool:
        return self._load.queue is not None and self._slots.locked() and self._waiting >= self._load.queue

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    async def _models(self, _: web.Request) -> web.Response:
        models = [{"id": "scripted", "object": "model", "created": 0, "owned_by": "reasonmed"}]
        return web.Response(body=orjson.dumps({"object": "list", "data": models}), content_type="application/json")

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()


def _ask(chat: dict[str, Any], stage: str, case_id: CaseId) -> Ask:
    if chat.get("stream") or not chat["messages"]:
        raise ValueError("streaming isn't scripted, nor is silence")
    form = chat.get("response_format") or {}
    return Ask(
        stage=stage,
        case_id=case_id,
        prompt="\n\n".join(message["content"] for message in chat["messages"]),
        seed=int(chat.get("seed") or 0),
        max_tokens=int(chat.get("max_tokens") or 8_192),
        schema=form["json_schema"]["schema"] if form.get("type") == "json_schema" else None,
    )


def _completion(model: str, ask: Ask, said: Said, entry: Entry) -> Answer:
    prompt, completion, cached = _tokens(ask.prompt), _tokens(said.text), _cached(ask)
    message = {"role": "assistant", "content": said.text}
    reply = {
        "id": f"chatcmpl-{entry.n}",
        "object": "chat.completion",
        "created": int(entry.start),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": _FINISH.get(said.finish, said.finish)}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }
    usage = {"prompt": prompt, "completion": completion, "cached": cached}
    notes = {"seed": ask.seed, "text": text_digest(said.text), "finish": said.finish, "usage": usage, **said.notes}
    return Answer(200, orjson.dumps(reply), notes)


def _spoilt(answer: Answer, fault: Fault, stage: str) -> Answer:
    notes = fault.notes(stage)
    if fault.kind == "500":
        return Answer(500, _error("server_error"), notes)
    if fault.kind == "error_in_200":
        return Answer(200, orjson.dumps({"error": {"message": "no instance available", "code": 503}}), notes)
    if "withheld" in notes:
        return Answer(200, faults.body(fault.kind, answer.body), notes)
    return Answer(200, answer.body, {**answer.notes, **notes})


async def _send(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = web.Response(status=answer.status, body=answer.body, content_type="application/json")
    if answer.status == 429:
        response.headers["Retry-After"] = "1"
    await response.prepare(request)
    await response.write_eof()
    return response


async def _send_and_reset(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Half of the body, then a TCP reset, as when a server is killed."""
    response = web.StreamResponse()
    response.content_type, response.content_length = "application/json", len(answer.body)
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2])
    if request.transport is not None:
        linger_not = struct.pack("ii", 1, 0)
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
        request.transport.abort()
    return response


def _tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_A_TOKEN)


def _cached(ask: Ask) -> int:
    """As if what a question's verification prompts share were always cached: whole blocks of 16 tokens up to the path.
    Which of them comes first would depend on order."""
    if ask.stage not in JUDGES:
        return 0
    return max(ask.prompt.rfind(JUDGED_BEGIN), 0) // CHARACTERS_A_TOKEN // 16 * 16


def _error(kind: str) -> bytes:
    return orjson.dumps({"error": {"message": "refused by the scripted server", "type": kind, "code": kind}})

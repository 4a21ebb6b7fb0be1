"""Servers that each enforce a rule of their own: a recipe and a deployment can say what they need."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from aiohttp import web
from pydantic import SecretStr, TypeAdapter, ValidationError

from services.contracts.recipe import Model
from services.core.endpoint import Endpoint
from services.core.errors import Reject, Trouble
from services.llm.check import check
from services.llm.client import ChatClient, chat_url
from services.recipes import load

SCHEMA = {"title": "verdict", "type": "object", "properties": {}}

Rule = Callable[[dict[str, Any]], str | None]
"""Why a body is refused; None: it is taken."""


def o1(body: dict[str, Any]) -> str | None:
    if "max_tokens" in body:
        return "max_tokens is not supported: use max_completion_tokens"
    if body.get("temperature", 1) != 1 or body.get("top_p", 1) != 1:
        return "only the default temperature and top_p"
    if any(message["role"] == "system" for message in body["messages"]):
        return "no system message"
    return None if "max_completion_tokens" in body else "no bound"


def deepseek(body: dict[str, Any]) -> str | None:
    return "json_schema" if body.get("response_format", {}).get("type") == "json_schema" else None


def mistral(body: dict[str, Any]) -> str | None:
    return "seed" if "seed" in body else None


def qwen3(body: dict[str, Any]) -> str | None:
    return None if body.get("chat_template_kwargs") == {"enable_thinking": False} else "thinking"


def judge(body: dict[str, Any]) -> str | None:
    first = body["messages"][0]
    return None if (first["role"], first["content"]) == ("system", "You are a judge.") else "no system message"


@pytest.fixture
def ask(served, chat_app, chat, request_of):
    async def one(rule: Rule, model: Model, **changes: Any) -> str:
        async def handler(request: web.Request) -> web.Response:
            body = orjson.loads(await request.read())
            assert body["stream"] is False
            why = rule(body)
            if why is None:
                return web.Response(body=chat())
            return web.Response(status=400, body=orjson.dumps({"error": {"message": why, "code": "unsupported"}}))

        async with served(chat_app(handler)) as base_url, ChatClient({"writer": Endpoint(base_url)}) as client:
            return (await client.send(request_of(model=model, **changes), owner="test", attempt="test.1")).text

    return one


@pytest.mark.parametrize(
    ("rule", "needs", "changes"),
    [
        (o1, {"omit": ("temperature", "top_p"), "max_tokens_as": "max_completion_tokens"}, {}),
        (deepseek, {"response_format": "json_object"}, {"schema": SCHEMA}),
        (deepseek, {"response_format": "none"}, {"schema": SCHEMA}),
        (mistral, {"omit": ("seed",)}, {}),
        (qwen3, {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}}, {}),
    ],
)
async def test_a_rule_is_met_where_the_recipe_says_so_and_only_there(ask, rule, needs, changes) -> None:
    assert await ask(rule, Model(served="x", **needs), **changes) == "Yes."
    with pytest.raises(Reject):
        await ask(rule, Model(served="x"), **changes)


async def test_a_system_message(ask) -> None:
    assert await ask(judge, Model(served="x"), system="You are a judge.") == "Yes."
    with pytest.raises(Reject):
        await ask(judge, Model(served="x"))


def test_what_a_model_needs_is_part_of_the_call_and_nothing_else_is(request_of) -> None:
    plain = request_of()
    ids = {
        request_of(model=Model(served="some-model", **needs)).call_id
        for needs in (
            {"omit": ("seed",)},
            {"omit": ("temperature",)},
            {"max_tokens_as": "max_completion_tokens"},
            {"response_format": "none"},
            {"extra_body": {"top_k": 1}},
            {"thinking": ("<a>", "</a>")},
        )
    } | {request_of(system="s").call_id, plain.call_id}
    assert len(ids) == 8
    assert request_of(model=Model(served="some-model", price_in=3.0)).call_id == plain.call_id


async def test_azure_wants_a_version_in_the_query_and_its_own_key_header(served, chat, request_of) -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        asked = (request.query.get("api-version"), request.headers.get("api-key"), request.headers.get("X-Team"))
        if asked != ("2025-01-01", "k", "med") or "Authorization" in request.headers:
            return web.Response(status=401)
        return web.Response(body=chat())

    app = web.Application()
    app.router.add_post("/openai/deployments/d/chat/completions", handler)
    async with served(app) as base_url:
        azure = {
            "base_url": base_url.replace("/v1", "/openai/deployments/d/?api-version=2025-01-01"),
            "api_key": " k\n",
            "key_header": "api-key",
            "headers": {"X-Team": "med"},
        }
        endpoints = TypeAdapter(dict[str, Endpoint]).validate_python({"writer": azure})
        async with ChatClient(endpoints) as client:
            assert (await client.send(request_of(), owner="test", attempt="test.1")).text == "Yes."


async def test_a_proxy_is_used(served, chat, request_of) -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=chat(f"by the proxy for {request.host}"))

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    async with served(app) as base_url:
        endpoint = Endpoint("http://model.invalid/v1", proxy=base_url.removesuffix("/v1"))
        async with ChatClient({"writer": endpoint}) as client:
            assert (
                await client.send(request_of(), owner="test", attempt="test.1")
            ).text == "by the proxy for model.invalid"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_call": 4}, "unknown setting max_call; did you mean max_calls?"),
        ({"timout_s": 4}, "unknown setting timout_s; did you mean timeout_s?"),
        ({"nonsense": 4}, "unknown setting nonsense; it has base_url"),
        ({"base_url": "localhost:8000"}, "must begin with http"),
        ({"api_key": " \n"}, "is blank"),
        ({"api_key": "schlüssel"}, "characters that no HTTP header can carry"),
        ({"timeout_s": 0}, "greater than 0"),
    ],
)
def test_a_wrong_setting_is_refused_and_never_quoted(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(Endpoint).validate_python({"base_url": "http://x/v1", "api_key": "sk-secret", **given})
    assert said in str(raised.value)
    assert "sk-secret" not in str(raised.value)


def test_a_time_out_follows_from_the_longest_reply() -> None:
    endpoint = Endpoint("http://x/v1")
    assert endpoint.timeout_for(1) < endpoint.timeout_for(1_000) < 600
    assert endpoint.timeout_for(20_000) > 800, "20,000 tokens at 25 a second take 800 s"
    assert Endpoint("http://x/v1", timeout_s=5).timeout_for(20_000) == 5


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://x/v1", "http://x/v1/chat/completions"),
        ("http://x/v1/", "http://x/v1/chat/completions"),
        ("http://x", "http://x/chat/completions"),
        ("http://x/v1?a=b&c=d", "http://x/v1/chat/completions?a=b&c=d"),
    ],
)
def test_the_chat_endpoint_below_a_base_url(base_url: str, url: str) -> None:
    assert str(chat_url(base_url)) == url


class Picky:
    """Takes no schema, and knows no model but o1-mini."""

    async def send(self, request, *, owner: str, attempt: str, address: str | None = None) -> Any:
        if request.schema is not None:
            raise Reject("HTTP 400: the server refuses this request")
        if request.model.served != "o1-mini":
            raise Trouble("HTTP 404: unknown model")


async def test_a_recipe_is_checked_alias_by_alias_in_each_form() -> None:
    recipe = load("paper")
    known = dict.fromkeys(("qwen", "o1-mini", "deepseek"), Endpoint("http://x/v1", api_key=SecretStr("k")))
    rows = await check(recipe, known, Picky(), owner="test")
    assert [(row.alias, row.stages, row.trouble) for row in rows] == [
        ("deepseek", ("generate",), "HTTP 404: unknown model"),
        ("huatuo", ("generate",), "no endpoint: name one in REASONMED_MODELS, or give --llm-url for all aliases"),
        ("o1-mini", ("reason",), None),
        ("qwen", ("generate", "refine", "summarize"), "HTTP 404: unknown model"),
        ("qwen", ("verify", "score"), "HTTP 400: the server refuses this request"),
    ]

"""The chat client's connections: shared, let go, and to one server of a pool."""

import asyncio

from aiohttp import web

from services.core.endpoint import Endpoint
from services.llm.client import ChatClient


async def test_aliases_of_one_base_url_share_its_connections(served, chat_app, request_of, chat):
    peers, under_way, most = set(), 0, 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal under_way, most
        assert request.transport
        peers.add(request.transport.get_extra_info("peername"))
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        under_way -= 1
        return web.Response(body=chat())

    async with served(chat_app(handler)) as base_url:
        endpoints = {alias: Endpoint(base_url, max_calls=150) for alias in ("a", "b")}
        async with ChatClient(endpoints) as client:
            for _ in range(2):
                requests = [request_of(number, alias="ab"[number % 2]) for number in range(300)]
                await asyncio.gather(*(client.send(request, owner="x", attempt="a") for request in requests))
    assert most == 300, "no call waits for a connection"
    assert len(peers) == 300, "the second round goes over the connections of the first"


async def test_a_cancelled_call_lets_its_connection_go(served, chat_app, request_of, chat):
    gone = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            gone.set()
            raise
        return web.Response(body=chat())

    async with (
        served(chat_app(handler)) as base_url,
        ChatClient({"writer": Endpoint(base_url)}) as client,
    ):
        call = asyncio.create_task(client.send(request_of(), owner="x", attempt="a"))
        await asyncio.sleep(0.1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await asyncio.wait_for(gone.wait(), 5)


async def test_a_pools_server_is_met_at_its_address_under_the_pools_name(served, chat_app, request_of, chat):
    hosts = []

    async def handler(request: web.Request) -> web.Response:
        hosts.append(request.headers["Host"])
        return web.Response(body=chat())

    async with served(chat_app(handler)) as base_url:
        address = base_url.removeprefix("http://").removesuffix("/v1")
        async with ChatClient({"writer": Endpoint("http://pool.invalid:8000/v1", pool="dns")}) as client:
            reply = await client.send(request_of(), owner="x", attempt="a", address=address)
    assert reply.text == "Yes."
    assert hosts == ["pool.invalid:8000"]

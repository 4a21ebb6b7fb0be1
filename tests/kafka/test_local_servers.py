"""The model server and Valkey, as child processes."""

import json
from pathlib import Path

import httpx
import pytest
from valkey.asyncio import Valkey

from services.local.processes.process import ProcessError
from services.local.servers.small_model import MODEL, ModelServer
from services.local.servers.valkey import ValkeyServer

VERDICT = {
    "type": "object",
    "properties": {"correct": {"type": "boolean"}, "reason": {"type": "string", "maxLength": 40}},
    "required": ["correct", "reason"],
    "additionalProperties": False,
}


async def test_model_answers_with_usage_and_in_the_schema_asked_for(tmp_path: Path) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": VERDICT}}
    ask = {"model": MODEL, "messages": [{"role": "user", "content": "Is aspirin an NSAID?"}], "max_tokens": 128}
    async with ModelServer(tmp_path, slots=1, context=512) as server:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=60) as client:
            reply = (await client.post("/chat/completions", json={**ask, "response_format": schema})).json()
        assert server.process.usage.peak_rss > 100e6
    assert reply["model"] == MODEL
    assert reply["usage"]["completion_tokens"] > 0
    verdict = json.loads(reply["choices"][0]["message"]["content"])
    assert set(verdict) == {"correct", "reason"}
    assert server.process.returncode == 0


async def test_model_server_on_a_taken_port_fails_with_its_log(tmp_path: Path) -> None:
    async with ValkeyServer(tmp_path) as other:
        with pytest.raises(ProcessError, match="llm exited"):
            await ModelServer(tmp_path, port=other.port, slots=1, context=512).start()


@pytest.mark.parametrize("socket", [None, "valkey.sock"])
async def test_valkey_keeps_what_it_has_acknowledged_over_a_kill(socket: str | None, tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path / "data", unix_socket=tmp_path / socket if socket else None)
    async with server:
        async with Valkey.from_url(server.url) as client:
            await client.set("call", "paid")
            assert await client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        await server.process.kill()
        await server.start()
        async with Valkey.from_url(server.url) as client:
            assert await client.get("call") == b"paid"
    assert server.process.returncode == 0


def test_valkey_refuses_a_socket_path_that_the_kernel_would_cut(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="100 bytes"):
        ValkeyServer(tmp_path, unix_socket=tmp_path / ("long" * 30))

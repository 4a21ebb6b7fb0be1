"""Builds the environment of a service's process: its whole configuration, from explicit values."""

from collections.abc import Mapping
from dataclasses import fields

import orjson
from pydantic import SecretStr, TypeAdapter

from services.core.endpoint import Endpoint
from services.runtime.kafka.client import KafkaClient

_ENDPOINTS = TypeAdapter(dict[str, Endpoint])


def environment(
    base: Mapping[str, str],
    *,
    client: KafkaClient,
    ledger: str,
    models: Mapping[str, Endpoint],
    port: int,
    name: str,
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """`base` plus the REASONMED_ variables of a worker, as services.runtime.process.settings reads them. `more`:
    further settings, without their prefix. The result includes secrets: pass it to the child only."""
    own = {**_kafka(client), "LEDGER": ledger, "MODELS": _models(models), "PORT": str(port), "NAME": name}
    return {**base, **{f"REASONMED_{key}": value for key, value in {**own, **(more or {})}.items()}}


def _kafka(client: KafkaClient) -> dict[str, str]:
    given = {field.name: getattr(client, field.name) for field in fields(client)}
    return {f"KAFKA__{name.upper()}": _plain(value) for name, value in given.items() if value is not None}


def _models(models: Mapping[str, Endpoint]) -> str:
    plain = _ENDPOINTS.dump_python(dict(models))
    for endpoint in plain.values():
        endpoint["api_key"] = _plain(endpoint["api_key"]) if endpoint["api_key"] is not None else None
        endpoint["headers"] = {name: _plain(value) for name, value in endpoint["headers"].items()}
    return orjson.dumps(plain).decode()


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

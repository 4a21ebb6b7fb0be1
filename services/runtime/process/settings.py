"""A process's settings, from the environment alone: REASONMED_NAME, nested ones as REASONMED_KAFKA__NAME.

Secrets are SecretStr: they print as stars, and are never logged.
"""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.core.endpoint import Endpoint
from services.core.lanes import BACKFILL_SHARE
from services.runtime.kafka.client import KafkaClient


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


class Settings(BaseSettings):
    """What a service needs to know of its deployment. What decides a result is in the recipe instead."""

    model_config = SettingsConfigDict(
        env_prefix="REASONMED_", env_nested_delimiter="__", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    kafka: KafkaClient = KafkaClient(bootstrap="127.0.0.1:9092")
    """How to reach Kafka."""
    ledger: SecretStr = Field(default_factory=lambda: SecretStr(f"sqlite://{Path('build/ledger.sqlite').absolute()}"))
    """sqlite:///ABSOLUTE/PATH on one machine, valkey://USER:PASSWORD@HOST:PORT/0 on many. None: build/ledger.sqlite in
    the folder where it starts."""
    models: dict[str, Endpoint] = Field(default_factory=dict)
    """Where each of the recipes' model aliases is served: JSON by alias."""
    cases: Annotated[int, Field(ge=1)] = 32
    """Cases of a topic and lane in flight in a worker, at most."""
    backfill_share: Annotated[float, Field(gt=0, le=0.5)] = BACKFILL_SHARE
    """The share of cases and model calls begun that backfill has while live questions wait; it has all that is left."""
    lease_s: Annotated[float, Field(gt=0)] = 60
    """Seconds of a call's lease between renewals."""
    drain_s: Annotated[float, Field(ge=0)] = 150
    """Seconds that calls in flight have to end after SIGTERM."""
    session_s: Annotated[float, Field(gt=0)] = 30
    """Seconds without a heartbeat until a dead worker's partitions go to others: within the brokers'
    group.min.session.timeout.ms (6 by default) and .max."""
    host: str = "127.0.0.1"
    """Address of health and metrics."""
    port: Annotated[int | None, BeforeValidator(_blank_is_none)] = None
    """Port of /healthz, /readyz and /metrics; none: 8080 for the gateway, any free one for the others."""
    name: str | None = None
    """The worker's name in logs and the ledger, such as a pod's."""


class TraceSettings(BaseSettings):
    """Whether to trace: by OpenTelemetry's own variables, which its exporter reads as well."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    collector: Annotated[str | None, BeforeValidator(_blank_is_none)] = Field(
        default=None,
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    )
    """Address of a collector of traces (OTLP over HTTP); none: nothing is traced."""


def inherited() -> dict[str, str]:
    """This process's whole environment, for the children that it starts."""
    return dict(os.environ)

"""A process's settings, from the environment alone: REASONMED_NAME, nested ones as REASONMED_KAFKA__NAME.

Secrets are SecretStr: they print as stars, and are never logged.
"""

import os
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, TypeVar

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.contracts.codec import explain
from services.core.endpoint import Endpoint
from services.core.lanes import BACKFILL_SHARE
from services.runtime.kafka.client import KafkaClient

PREFIX: Final = "REASONMED_"
ELSEWHERE: Final = frozenset(("ADMISSION", "EXPORT", "GATEWAY", "CACHE"))
"""Settings of single services, and the command line's."""
IN_A_POD: Final = "KUBERNETES_SERVICE_HOST"
"""Kubernetes sets it in every pod."""

S = TypeVar("S", bound="Settings")


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


class Settings(BaseSettings):
    """What a service needs to know of its deployment. What decides a result is in the recipe instead."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="ignore", use_attribute_docstrings=True
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


def loaded(cls: type[S]) -> S:
    """The settings of this process. Exits 2 with a sentence where one is invalid or unknown; values are never shown."""
    try:
        settings = cls()
    except ValidationError as error:
        raise _wrong(f"the settings in {PREFIX}*: {explain(error)}") from error
    if unknown := next(iter(_unknown(cls)), None):
        close = get_close_matches(unknown.upper().removeprefix(PREFIX), map(str.upper, cls.model_fields), n=1)
        raise _wrong(f"{unknown} is no setting{f': did you mean {PREFIX}{close[0]}?' if close else ''}; see --help")
    if IN_A_POD in os.environ and "ledger" not in settings.model_fields_set:
        raise _wrong(
            f"{PREFIX}LEDGER is not set: each pod would have a ledger of its own, and pay for every call again"
        )
    return settings


def _unknown(cls: type[BaseSettings]) -> list[str]:
    """Variables that no service reads. Those of another service may be there too: one environment for all."""
    known = {name.upper() for name in cls.model_fields} | ELSEWHERE
    given = (name for name in os.environ if name.upper().startswith(PREFIX))
    return sorted(name for name in given if name.upper().removeprefix(PREFIX).partition("__")[0] not in known)


def _wrong(why: str) -> SystemExit:
    sys.stderr.write(f"error: {why}\n")
    return SystemExit(2)


def inherited() -> dict[str, str]:
    """This process's whole environment, for the children that it starts."""
    return dict(os.environ)

"""A process's settings, from the environment alone: REASONMED_NAME, nested ones as REASONMED_KAFKA__NAME.

Secrets are SecretStr: they print as stars, and are never logged.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class KafkaSettings(BaseModel):
    """How to reach Kafka."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap: str = Field(default="127.0.0.1:9092", description="host:port, comma-separated.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretStr | None = None
    cafile: str | None = Field(default=None, description="PEM file of the certificate authority; none: the system's.")
    max_message_bytes: Annotated[int, Field(ge=100_000)] = Field(
        default=4 * 1024 * 1024,
        description="The one size limit: of producer, fetch and topics, before compression. Holds the largest case of a "
        "recipe (services.core.sizes); dead letters' topics have 64 KiB more.",
    )


class ModelSettings(BaseModel):
    """Where one model alias is served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = Field(description="Up to and with /v1.")
    api_key: SecretStr | None = None
    max_calls: Annotated[int, Field(ge=1)] = Field(default=64, description="Calls at once, from one process.")
    timeout_s: Annotated[float, Field(gt=0)] = Field(default=600, description="Seconds for a whole call.")


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


class Settings(BaseSettings):
    """What a service needs to know of its deployment. What decides a result is in the recipe instead."""

    model_config = SettingsConfigDict(env_prefix="REASONMED_", env_nested_delimiter="__", frozen=True, extra="ignore")

    kafka: KafkaSettings = KafkaSettings()
    ledger: str = Field(
        default="sqlite:///build/ledger.sqlite",
        description="sqlite:///PATH on one machine, valkey://HOST:PORT on many.",
    )
    model: ModelSettings = Field(
        default=ModelSettings(base_url="http://127.0.0.1:8000/v1"), description="For every alias not in `models`."
    )
    models: dict[str, ModelSettings] = Field(default_factory=dict, description="By alias.")
    cases: Annotated[int, Field(ge=1)] = Field(default=32, description="Cases under way in a worker, at most.")
    lease_s: Annotated[float, Field(gt=0)] = Field(default=60, description="Seconds of a call's lease between renewals.")
    drain_s: Annotated[float, Field(ge=0)] = Field(
        default=150, description="Seconds that calls under way have to end after SIGTERM."
    )
    host: str = Field(default="127.0.0.1", description="Address of health and metrics.")
    port: Annotated[int | None, BeforeValidator(_blank_is_none)] = Field(
        default=None, description="Port of /healthz, /readyz and /metrics; none: not served; 0: any free one."
    )
    name: str | None = Field(default=None, description="The worker's name in logs and the ledger, such as a pod's.")

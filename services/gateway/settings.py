"""The gateway's own settings, beside those of every service."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.runtime.process.settings import Settings


def _token(key: SecretStr) -> SecretStr:
    # The characters allowed after `Bearer` (RFC 6750); shorter keys could be guessed.
    if not re.fullmatch(r"[A-Za-z0-9._~+/-]{16,}=*", key.get_secret_value()):
        raise ValueError("a key has 16 characters or more: letters, digits, -._~+/, and = at its end")
    return key


class Gateway(BaseModel):
    """Who may submit questions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[Annotated[SecretStr, AfterValidator(_token)], ...] = Field(
        default=(),
        description='API keys, as a JSON list: `["…", "…"]`, each of 16 characters or more; a request needs one. '
        "None: open to everyone.",
    )


class GatewaySettings(Settings):
    """The gateway's settings. Errors do not show the keys."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    gateway: Gateway = Field(default=Gateway(), description="Who may submit questions.")

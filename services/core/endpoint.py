"""Where a model is served: the deployment's side of an alias."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator

START_S = 60.0
"""Of a derived time-out: to wait in a server's queue and to read the prompt."""


def _url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    if "#" in value:
        raise ValueError("must not have a fragment (#...)")
    return value


def _key(value: SecretStr) -> SecretStr:
    """Mounted secrets often end in a newline, which no HTTP header can carry."""
    key = value.get_secret_value().strip()
    if not key:
        raise ValueError("is blank: leave it out where the server asks for no key")
    if not (key.isascii() and key.isprintable()):
        raise ValueError("has characters that no HTTP header can carry: is it the key itself?")
    return SecretStr(key)


Secret = Annotated[SecretStr, AfterValidator(_key)]
Url = Annotated[str, AfterValidator(_url)]


@dataclass(frozen=True)
class Endpoint:
    """Where a model alias is served, how it is reached, and how much is asked of it at once, by one process."""

    __pydantic_config__ = ConfigDict(extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    base_url: Url
    """Up to and including /v1; a query string (Azure's ?api-version=...) is kept."""
    api_key: Secret | None = None
    """None: none is sent."""
    key_header: str = "Authorization"
    """The header that carries the key: as `Bearer KEY` in Authorization, as it is in any other (such as api-key)."""
    headers: Mapping[str, Secret] = field(default_factory=dict)
    """Further headers of each request."""
    proxy: Url | None = None
    """An HTTP proxy on the way to the server."""
    timeout_s: Annotated[float, Field(gt=0)] | None = None
    """A call's whole time, from the first byte sent to the last byte read. None: derived from the call's max_tokens."""
    tokens_per_s: Annotated[float, Field(gt=0)] = 20.0
    """The slowest writing that a derived time-out allows for."""
    max_calls: Annotated[int, Field(ge=1)] = 64
    """Calls in flight at once, at most."""
    pool: Literal["dns"] | None = None
    """dns: the URL's host is a name with an address for each of several servers (a headless Service), and `max_calls`
    is meant for each of them. None: one server."""

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        """Refuse an unknown setting by name: a misspelt one would be ignored in silence."""
        given = getattr(data, "kwargs", data) or {}
        known = [each.name for each in fields(cls)]
        for name in given if isinstance(given, Mapping) else ():
            if name not in known:
                close = get_close_matches(str(name), known, n=1)
                raise ValueError(
                    f"unknown setting {name}; did you mean {close[0]}?"
                    if close
                    else f"unknown setting {name}; it has {', '.join(known)}"
                )
        return data

    def timeout_for(self, max_tokens: int) -> float:
        """Seconds that a call of so many tokens may take."""
        return self.timeout_s if self.timeout_s is not None else START_S + max_tokens / self.tokens_per_s

"""Where a model is served: the deployment's side of an alias."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, SecretStr


@dataclass(frozen=True)
class Endpoint:
    """Where a model alias is served, and how much is asked of it at once, by one process."""

    base_url: str
    """Up to and including /v1."""
    api_key: SecretStr | None = None
    """Sent as a bearer token; none: none is sent."""
    timeout_s: Annotated[float, Field(gt=0)] = 600.0
    """A call's whole time, from the first byte sent to the last byte read."""
    max_calls: Annotated[int, Field(ge=1)] = 64
    """Calls under way at once, at most."""

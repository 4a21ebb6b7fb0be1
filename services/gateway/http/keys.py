"""API keys: `Authorization: Bearer KEY`, compared in constant time."""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from services.gateway.http.refusals import Refused

_BEARER = HTTPBearer(auto_error=False, scheme_name="API key", description="One of the deployment's API keys.")

Given = Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]


def needs_key(keys: Sequence[SecretStr]) -> Callable[[Given], Awaitable[None]]:
    """A dependency that raises Refused (401) unless the request holds one of the keys."""
    valid = [key.get_secret_value().encode() for key in keys]

    async def check(given: Given) -> None:
        token = given.credentials.encode() if given else b""
        if not any([hmac.compare_digest(token, key) for key in valid]):  # noqa: C419  every key, whichever fits
            raise Refused(
                401,
                "no_key",
                "An API key is needed: send it as `Authorization: Bearer KEY`.",
                headers={"WWW-Authenticate": "Bearer"},
            )

    return check

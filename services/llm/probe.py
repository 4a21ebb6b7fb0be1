"""The smallest call that shows whether a server serves calls like another."""

from dataclasses import replace

from services.core.ledger.calls import Request

PROMPT = "Say OK."


def one_token(request: Request) -> Request:
    """A one-token call with the same model, parameters and schema, which a server may refuse. It does not enter the
    ledger, and its reply is not used."""
    return replace(request, prompt=PROMPT, sampling=request.sampling.with_(max_tokens=1))

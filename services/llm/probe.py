"""The smallest call that shows whether a server serves calls like another."""

from dataclasses import replace

from services.core.ledger.calls import Request

PROMPT = "Say OK."


def one_token(request: Request) -> Request:
    """A call like this one in everything that a server may refuse (model, parameters, schema), of one token. It is no
    call of the ledger's: nobody reads its reply."""
    return replace(request, prompt=PROMPT, sampling=request.sampling.with_(max_tokens=1))

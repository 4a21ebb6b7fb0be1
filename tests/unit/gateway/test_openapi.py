"""What schemathesis finds between the OpenAPI that the gateway shows and what it does."""

from collections.abc import Sequence

import schemathesis
from hypothesis import settings
from pydantic import SecretStr
from schemathesis.config import SchemathesisConfig

from services.core.ports import Outgoing
from services.gateway.app import create_app

KEY = SecretStr("a-key-of-the-deployment")

CONFIG = {
    "checks": {
        # A broken rule may also make a question too large: that is seen first.
        "negative_data_rejection": {"expected-statuses": [401, 405, 413, 415, 422]},
        # The schema doesn't say that options follow one another and that the answer is one of them: such is a 422.
        "positive_data_acceptance": {"enabled": False},
    }
}


class Kafka:
    """Takes everything."""

    async def publish(self, messages: Sequence[Outgoing]) -> None: ...

    async def reachable(self) -> bool:
        return True


def schema_of(*keys: SecretStr) -> schemathesis.BaseSchema:
    kafka = Kafka()
    app = create_app(kafka, kafka.reachable, keys=keys)
    return schemathesis.openapi.from_asgi("/openapi.json", app, config=SchemathesisConfig.from_dict(CONFIG))


anyone, holders = schema_of(), schema_of(KEY)


@anyone.parametrize()
@settings(max_examples=100)
def test_it_does_what_its_openapi_says(case: schemathesis.Case) -> None:
    case.call_and_validate()


@holders.parametrize()
@settings(max_examples=100)
def test_it_does_so_with_keys(case: schemathesis.Case) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {KEY.get_secret_value()}"})

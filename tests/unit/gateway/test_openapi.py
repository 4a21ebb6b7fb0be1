"""What schemathesis finds between the OpenAPI that the gateway shows and what it does."""

from collections.abc import Sequence
from typing import Any

import schemathesis
from hypothesis import settings
from pydantic import SecretStr
from schemathesis.config import SchemathesisConfig

from services.contracts.base import CaseId, RecipeId, WorkId
from services.contracts.recipe import Recipe
from services.core.messages import ConsumedRecord, OutgoingRecord, Position
from services.core.status.case_status import CaseEvent, CaseHistory
from services.core.status.figures import Ends, Figures
from services.gateway.app import Outside, create_app
from services.ledger.memory.ledger import memory_ledger
from services.ledger.memory.status import MemoryStatusStore

KEY = SecretStr("a-key-of-the-deployment")

CONFIG = {
    # A call brings the key itself: a case that was made without one is good then, and is not to be refused.
    "generation": {"with-security-parameters": False},
    "checks": {
        # A broken rule may also make a question too large: that is seen first. Of an array each item is refused: 207.
        "negative_data_rejection": {"expected-statuses": [207, 401, 405, 413, 415, 422]},
        # The schema doesn't say that options follow one another and that the answer is one of them: such is a 422.
        "positive_data_acceptance": {"enabled": False},
    },
}


@schemathesis.serializer("application/x-ndjson")
def lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Whatever it has made up, as text."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


class Kafka:
    """Takes everything."""

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None: ...

    async def reachable(self) -> bool:
        return True

    async def bodies(self, positions: Sequence[Position]) -> list[ConsumedRecord]:
        return []


class OneCase(MemoryStatusStore):
    """Whatever is asked for, it is the same case, and the same figures."""

    async def published(self) -> bytes:
        nothing = Figures(at=1, behind_s=0, topics=(), open=0, ends=Ends(), routes={}, records=())
        return nothing.model_dump_json().encode()

    async def case(self, case_id: CaseId) -> CaseHistory | None:
        accepted = Position("case-accepted", 0, 0)
        seen = CaseEvent(
            case_id=case_id, work_id=WorkId("work-" + "0" * 32), position=accepted, written_ms=1, end="dead"
        )
        return CaseHistory(case_id, {seen.key: seen})


async def no_recipe(recipe_id: RecipeId) -> Recipe | None:
    return None


def schema_of(*keys: SecretStr) -> schemathesis.BaseSchema:
    """Without the streams that never end: tests/unit/gateway/test_events.py has them."""
    kafka = Kafka()
    app = create_app(
        Outside(kafka, kafka.reachable, OneCase(), kafka.bodies, memory_ledger().books, no_recipe), keys=keys
    )
    whole = schemathesis.openapi.from_asgi("/openapi.json", app, config=SchemathesisConfig.from_dict(CONFIG))
    return whole.exclude(path="/figures/stream")


anyone, holders = schema_of(), schema_of(KEY)


@anyone.parametrize()
@settings(max_examples=30)
def test_it_does_what_its_openapi_says(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate()


@holders.parametrize()
@settings(max_examples=30)
def test_it_does_so_with_keys(case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {KEY.get_secret_value()}"})

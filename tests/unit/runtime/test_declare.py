"""Topics as the contract declares them, with a deployment's number of partitions."""

import pytest

from services.contracts.topics import QUESTION_SUBMITTED, RECIPES, topics
from services.runtime.kafka.declare import specs


@pytest.mark.parametrize(("asked", "submitted", "dead", "recipes"), [(None, 12, 3, 1), (96, 96, 3, 1), (2, 2, 2, 1)])
def test_partitions_are_those_of_topics_that_carry_questions(
    asked: int | None, submitted: int, dead: int, recipes: int
) -> None:
    made = {spec.name: spec for spec in specs(topics().values(), replication=1, max_message_bytes=1, partitions=asked)}
    found = [made[name].partitions for name in (QUESTION_SUBMITTED, "router-dead", RECIPES)]
    assert found == [submitted, dead, recipes]

"""Keeps a process's recipes as the topic has them, also after Kafka was away."""

import asyncio

import structlog

from services.contracts.topics import RECIPES
from services.core.errors import BrokerAway
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reader import follow_topic
from services.worker.recipes import Recipes

AGAIN_S = 1.0
"""Until the topic is read again after its reading has ended."""

log = structlog.get_logger(__name__)


async def follow_recipes(client: KafkaClient, recipes: Recipes) -> None:
    """Follow the topic until cancelled."""
    told = ""
    while True:
        recipes.caught_up.clear()  # Read from the beginning, the topic names older current recipes first.
        try:
            await recipes.follow(follow_topic(client, RECIPES, caught_up=recipes.caught_up))
        except BrokerAway as away:
            if str(away) != told:  # not each second
                log.warning("recipes can't be read; trying again", error=str(away))
            told = str(away)
        await asyncio.sleep(AGAIN_S)

"""Watches the background tasks of an aiokafka consumer, which aiokafka itself does not (rule 10)."""

from typing import Any


def ended_task(consumer: Any) -> str | None:
    """Which of an aiokafka consumer's two background tasks has ended; None while both run. aiokafka never restarts
    them: without the fetcher nothing is fetched, without the coordinator it is no member of its group any more."""
    tasks = {"fetcher": consumer._fetcher._fetch_task, "coordinator": consumer._coordinator._coordination_task}
    ended = [name for name, task in tasks.items() if task.done()]
    return f"aiokafka's {ended[0]} has ended by itself" if ended else None

"""The router's own counters, since the start of its process."""

from prometheus_client import Counter


def refusals() -> Counter:
    """Questions that admission refused, by reason; a redelivered one is counted again."""
    return Counter(
        "reasonmed_questions_refused", "Questions that admission refused, by reason.", ["reason"], registry=None
    )

"""What a router counts of its own, since the start of its process. Every name in one place."""

from prometheus_client import Counter


def refusals() -> Counter:
    """Questions that admission refused, by reason; one that is read again is counted again."""
    return Counter(
        "reasonmed_questions_refused", "Questions that admission refused, by reason.", ["reason"], registry=None
    )

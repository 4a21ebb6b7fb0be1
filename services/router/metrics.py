"""The router's own counters, since the start of its process."""

from prometheus_client import Counter

from services.runtime.metric_names import MetricName


def flags() -> Counter:
    """Questions that were admitted although a check found something; a redelivered one is counted again."""
    return Counter(
        MetricName.QUESTIONS_FLAGGED, "Questions admitted although a check found something.", ["reason"], registry=None
    )


def refusals() -> Counter:
    """Questions that admission refused, by reason; a redelivered one is counted again."""
    return Counter(
        MetricName.QUESTIONS_REFUSED, "Questions that admission refused, by reason.", ["reason"], registry=None
    )

"""The gateway's metrics."""

from typing import Literal, get_args

from prometheus_client import Counter, Gauge, Histogram

from services.runtime.engine.metrics import process_registry
from services.runtime.metric_names import MetricName

Reason = Literal[
    "malformed",
    "too_large",
    "content_type",
    "body_not_read",
    "no_key",
    "busy",
    "kafka_away",
    "draining",
    "answer_full",
    "unknown",
    "store_away",
]
"""Why a request or question was refused. malformed: an invalid question or query (422). too_large: 413. content_type:
neither JSON nor NDJSON, or compressed (415). body_not_read: the body ended early or was too slow (400, 408). no_key: a
missing or invalid API key (401). busy: too many concurrent requests (503). kafka_away: no confirmation in time (503).
draining: the gateway is stopping (503). answer_full: the response to an NDJSON body is too long (413). unknown: no such
case (404). store_away: the status store is unavailable (503)."""

Form = Literal["array", "lines"]


class Metrics:
    """One gateway's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = process_registry()
        self.accepted = Counter(
            MetricName.GATEWAY_QUESTIONS_ACCEPTED, "Questions that Kafka has confirmed.", registry=self.registry
        )
        self.refused = Counter(
            MetricName.GATEWAY_QUESTIONS_REFUSED, "Questions refused.", ["reason"], registry=self.registry
        )
        self.batched = Counter(
            MetricName.GATEWAY_BATCHED_QUESTIONS,
            "Questions of arrays and NDJSON bodies, by outcome; they are also among the accepted and refused too.",
            ["form", "became"],
            registry=self.registry,
        )
        self.not_shown = Counter(
            MetricName.GATEWAY_READS_REFUSED,
            "Refused read requests.",
            ["reason"],
            registry=self.registry,
        )
        self.listeners = Gauge(MetricName.GATEWAY_LISTENERS, "Open event streams.", registry=self.registry)
        self.publish_seconds = Histogram(
            MetricName.GATEWAY_PUBLISH_SECONDS,
            "Seconds from reading questions to Kafka's confirmation or the time-out.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
            registry=self.registry,
        )

        for reason in get_args(Reason):  # from 0: an increase to the first is seen
            self.refused.labels(reason)

    def refuse(self, reason: Reason) -> None:
        """Count a refusal with this reason."""
        self.refused.labels(reason).inc()

    def batch(self, form: Form, *, accepted: int, refused: int) -> None:
        """Count the outcomes of questions of a batch."""
        self.batched.labels(form, "accepted").inc(accepted)
        self.batched.labels(form, "refused").inc(refused)

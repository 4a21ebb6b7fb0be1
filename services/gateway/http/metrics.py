"""The gateway's metrics."""

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from services.runtime.process.metric_names import MetricName

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
"""Why a question was refused, or something isn't shown. malformed: no question, or no such query (422). too_large: 413.
content_type: neither JSON nor lines of it, or compressed (415). body_not_read: it ended early or came too slowly (400,
408). no_key: no API key, or a wrong one (401). busy: too many at once (503). kafka_away: no confirmation in time (503).
draining: the gateway ends (503). answer_full: of lines, more than an answer can tell (413). unknown: no such case
(404). store_away: where cases stand can't be looked up (503)."""

Form = Literal["array", "lines"]


class Metrics:
    """One gateway's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.accepted = Counter(
            MetricName.GATEWAY_QUESTIONS_ACCEPTED, "Questions that Kafka has confirmed.", registry=self.registry
        )
        self.refused = Counter(
            MetricName.GATEWAY_QUESTIONS_REFUSED, "Questions refused.", ["reason"], registry=self.registry
        )
        self.batched = Counter(
            MetricName.GATEWAY_BATCHED_QUESTIONS,
            "Questions that came in an array or in lines, by what became of them; they are among the accepted and "
            "refused too.",
            ["form", "became"],
            registry=self.registry,
        )
        self.not_shown = Counter(
            MetricName.GATEWAY_READS_REFUSED,
            "Requests to read something that were refused.",
            ["reason"],
            registry=self.registry,
        )
        self.listeners = Gauge(MetricName.GATEWAY_LISTENERS, "Streams of events that are open.", registry=self.registry)
        self.publish_seconds = Histogram(
            MetricName.GATEWAY_PUBLISH_SECONDS,
            "Seconds from read questions to Kafka's confirmation, or to giving up.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
            registry=self.registry,
        )

        for reason in get_args(Reason):  # from 0: an increase to the first is seen
            self.refused.labels(reason)

    def refuse(self, reason: Reason) -> None:
        """One more question refused, for this reason."""
        self.refused.labels(reason).inc()

    def batch(self, form: Form, *, accepted: int, refused: int) -> None:
        """What became of some questions of a batch."""
        self.batched.labels(form, "accepted").inc(accepted)
        self.batched.labels(form, "refused").inc(refused)

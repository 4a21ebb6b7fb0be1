"""What the gateway counts. Every name in one place."""

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

Reason = Literal["malformed", "too_large", "content_type", "body_not_read", "no_key", "busy", "kafka_away"]
"""Why a question was refused. malformed: no question (422). too_large: 413. content_type: not JSON, or compressed
(415). body_not_read: it ended early or came too slowly (400, 408). no_key: no API key, or a wrong one (401). busy: too
many at once (503). kafka_away: no confirmation in time (503)."""


class Metrics:
    """One gateway's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter(
            "reasonmed_gateway_questions_accepted", "Questions that Kafka has confirmed.", registry=self.registry
        )
        self.refused = Counter(
            "reasonmed_gateway_questions_refused", "Questions refused.", ["reason"], registry=self.registry
        )
        self.publish_seconds = Histogram(
            "reasonmed_gateway_publish_seconds",
            "Seconds from a read question to Kafka's confirmation, or to giving up.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
            registry=self.registry,
        )

    def refuse(self, reason: Reason) -> None:
        """One more refused, for this reason."""
        self.refused.labels(reason).inc()

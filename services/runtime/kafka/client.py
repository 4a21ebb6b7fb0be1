"""How Kafka is reached: one frozen value for consumer, producer and admin client."""

import ssl
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SecretStr, with_config

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

DEAD_LETTER_ROOM = 65_536
"""Bytes by which a dead letter may be larger than any other message: its reason is a header."""


@with_config(use_attribute_docstrings=True)
@dataclass(frozen=True, kw_only=True)
class KafkaClient:
    """A cluster, and how to log in to it. Its repr shows no secret."""

    bootstrap: str
    """host:port, several separated by commas."""
    security_protocol: SecurityProtocol = "PLAINTEXT"
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    """PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; with SASL only."""
    username: str | None = None
    """With SASL only."""
    password: SecretStr | None = None
    """With SASL only."""
    cafile: str | None = None
    """Certificates of the authorities to trust; none: the system's."""
    certfile: str | None = None
    """The client's own certificate, where brokers log in by it; with `keyfile`. PEM files, as Strimzi makes them."""
    keyfile: str | None = None
    """Its private key, not encrypted."""
    max_message_bytes: int = 4 * 2**20
    """The largest message, uncompressed, in bytes."""
    name: str = "reasonmed"
    """What brokers' logs call this client."""

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments that aiokafka's consumer, producer and admin client have in common."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap.split(","),
            "client_id": self.name,
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol in ("SSL", "SASL_SSL"):
            arguments["ssl_context"] = self._tls()
        if self.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL"):
            arguments["sasl_mechanism"] = self.sasl_mechanism
            arguments["sasl_plain_username"] = self.username
            arguments["sasl_plain_password"] = self.password.get_secret_value() if self.password else None
        return arguments

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.cafile)
        if self.certfile is not None:
            context.load_cert_chain(self.certfile, self.keyfile)
        return context

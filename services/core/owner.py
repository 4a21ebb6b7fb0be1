"""The name under which a process holds leases and attempts."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Owner:
    """One process. Its text form `HOST-SERVICE-PID-NONCE` is used in the ledger, the logs and the model server's
    log."""

    host: str
    """The host, or the worker's name (a pod's); may contain dashes."""
    service: str
    """Contains no dashes."""
    pid: int
    nonce: str
    """Random hex digits: pid and host may repeat, the whole name never does."""

    def __str__(self) -> str:
        return f"{self.host}-{self.service}-{self.pid}-{self.nonce}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an owner's text form. Raises ValueError for any other text."""
        try:
            host, service, pid, nonce = text.rsplit("-", 3)
            return cls(host, service, int(pid), nonce)
        except ValueError:
            raise ValueError(f"not an owner's name, HOST-SERVICE-PID-NONCE: {text!r}") from None

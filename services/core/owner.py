"""The name under which a process holds leases and attempts."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Owner:
    """One process. As text `HOST-SERVICE-PID-NONCE`: the ledger, the logs and the model server's log hold that."""

    host: str
    """The host, or the worker's name (a pod's); may contain dashes."""
    service: str
    """Without dashes."""
    pid: int
    nonce: str
    """Random hex digits: a pid and a host may come again, the whole name never does."""

    def __str__(self) -> str:
        return f"{self.host}-{self.service}-{self.pid}-{self.nonce}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The owner of this name. Raises ValueError for any other text."""
        try:
            host, service, pid, nonce = text.rsplit("-", 3)
            return cls(host, service, int(pid), nonce)
        except ValueError:
            raise ValueError(f"not an owner's name, HOST-SERVICE-PID-NONCE: {text!r}") from None

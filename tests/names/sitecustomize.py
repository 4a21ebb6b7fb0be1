"""Names of pools for a test's processes. With this folder on PYTHONPATH, each host under pool.test has the addresses
that the file POOL_NAMES holds, as a headless Service has those of its pods; no name server is needed."""

import os
import socket
from pathlib import Path
from typing import Any

_NAMES = os.environ.get("POOL_NAMES")
_real = socket.getaddrinfo


def _getaddrinfo(host: Any, port: Any, *arguments: Any, **named: Any) -> Any:
    if _NAMES is None or not str(host).endswith("pool.test"):
        return _real(host, port, *arguments, **named)
    addresses = Path(_NAMES).read_text().split()
    if not addresses:
        raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)) for address in addresses]


socket.getaddrinfo = _getaddrinfo

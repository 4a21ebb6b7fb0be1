"""Chooses loopback ports for child processes before they start."""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOPBACK = "127.0.0.1"
"""The only address that the local stack binds to."""

_RANGE = range(20_000, 32_000)
"""Below the kernel's range for outgoing connections (Linux from 32768, macOS from 49152), so that no client takes the
port of a broker while it is down."""

_left = random.Random().sample(_RANGE, len(_RANGE))
"""Ports that this process has not returned yet: a child binds its port seconds later, or again after a restart."""


def free_ports(count: int) -> list[int]:
    """`count` distinct ports that are free on the loopback now, chosen at random so that parallel runs differ.

    Returns each port once per process. Raises OSError if there are not enough.
    """
    found: list[int] = []
    while len(found) < count:
        if not _left:
            raise OSError(f"no {count} free ports between {_RANGE.start} and {_RANGE.stop}")
        if is_free(port := _left.pop()):
            found.append(port)
    return found


class PortInUse(Exception):
    """Another process uses the port. The text has the remedy."""


@contextmanager
def claimed_port(port: int) -> Iterator[int]:
    """Lock the port until the block ends. Raises PortInUse.

    A lock file keeps two stacks of one user from choosing the same port before they listen.
    """
    with (Path(tempfile.gettempdir()) / f"reasonmed-{os.getuid()}-port-{port}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PortInUse(f"port {port} belongs to another stack: stop it, or choose another port") from None
        if not is_free(port):
            raise PortInUse(f"port {port} is in use by another process: stop it, or choose another port")
        yield port


def is_free(port: int) -> bool:
    """Whether the loopback port is free now."""
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True

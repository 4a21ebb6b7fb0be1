"""Loopback ports for children, which get theirs before they start."""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOPBACK = "127.0.0.1"
"""The local stack binds to no other address."""

_RANGE = range(20_000, 32_000)
"""Below the ports that the kernel gives outgoing connections (Linux from 32768, macOS from 49152): the port of
a broker that is down for a while is not taken by some client, and still free when the broker comes back."""

_left = random.Random().sample(_RANGE, len(_RANGE))
"""Ports that this process has not given out: a child binds its port seconds later, or again after a restart."""


def free_ports(count: int) -> list[int]:
    """`count` different ports, free on the loopback now, chosen at random so that runs side by side differ.

    A process gets each port once. Raises OSError when there are not so many.
    """
    found: list[int] = []
    while len(found) < count:
        if not _left:
            raise OSError(f"no {count} free ports between {_RANGE.start} and {_RANGE.stop}")
        if is_free(port := _left.pop()):
            found.append(port)
    return found


class PortInUse(Exception):
    """Another process has the port. Says what to do."""


@contextmanager
def claimed_port(port: int) -> Iterator[int]:
    """The port, ours until the block ends. Raises PortInUse.

    A lock file keeps two stacks of one user from choosing the same port before either of them listens.
    """
    with (Path(tempfile.gettempdir()) / f"reasonmed-{os.getuid()}-port-{port}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PortInUse(f"port {port} belongs to another stack: stop that, or choose another port") from None
        if not is_free(port):
            raise PortInUse(f"port {port} is in use by another process: stop that, or choose another port")
        yield port


def is_free(port: int) -> bool:
    """Whether the loopback port can be listened on now."""
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True

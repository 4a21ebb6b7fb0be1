"""Free loopback ports for children that must be told theirs before they start."""

import random
import socket

LOOPBACK = "127.0.0.1"
"""Nothing of the local stack is bound to any other address."""

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


def is_free(port: int) -> bool:
    """Whether the loopback port can be listened on now."""
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True

"""Output that another program reads, and may stop reading."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

INTERRUPTED = 130
"""The exit code after Ctrl-C, as in shells."""


@contextmanager
def piped() -> Iterator[None]:
    """Exit quietly when the reader of stdout closes it (`| head`), and at Ctrl-C."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at exit
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None

"""The standard streams, safe to use: closed ones, letters that cannot be written, readers that left."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import IO, Any

from kfgraph.model.standins import ERRORS


def open_standard_streams() -> None:
    """Open /dev/null for each standard stream that was closed (``2>&-``): else a file would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def never_fail_on_a_letter() -> None:
    """Where the locale cannot write a letter (a tree line, a name from the trace), write what stands for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def drop(stream: IO[Any]) -> None:
    """Point a stream that cannot be written to elsewhere: what comes, and the flush at exit, goes nowhere, silently."""
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), stream.fileno())

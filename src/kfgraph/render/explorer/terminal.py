"""The terminal that the explorer takes keys from and draws on."""

from __future__ import annotations

import os

from kfgraph.errors import UsageError


def take_keys() -> None:
    """Take keys from the terminal where standard input was a pipe with the trace, and draw on it where stderr is none.

    Raises:
        UsageError: there is no terminal to take keys from.
    """
    if not os.isatty(0):
        try:
            keys = os.open("/dev/tty", os.O_RDWR)
        except OSError:
            raise UsageError("there is no terminal to take keys from", "kfgraph show prints the call tree") from None
        os.dup2(keys, 0)
        os.close(keys)
    if not os.isatty(2):
        os.dup2(1, 2)

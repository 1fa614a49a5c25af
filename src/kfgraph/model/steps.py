"""What takes long at the moment, and how far it is: told by who does it, for whoever can show it. No numpy here."""

from __future__ import annotations


class Step:
    """``done`` of ``total`` of ``what`` (0: nobody knows how much it is)."""

    __slots__ = ("done", "total", "what")

    def __init__(self) -> None:
        self.what, self.done, self.total = "", 0, 0


NOW = Step()
"""The one step of this process that is told about."""


def begin(what: str = "", *, total: int = 0) -> None:
    """Begin a step of ``total`` units (0: not known); without ``what`` it keeps the name of the step before."""
    NOW.what, NOW.done, NOW.total = what or NOW.what, 0, total


def advance(by: int) -> None:
    """So much more is done."""
    NOW.done += by

"""The command line that this process, or a caller of ``kfgraph.main``, gave."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import takewhile

_PROGRAM = "kfgraph"


@dataclass(frozen=True)
class Invocation:
    """``program`` is how kfgraph was called, ``argv`` the words behind it; ``debug``: ``--debug`` is among its own
    options, not among the words of a command."""

    program: str
    argv: tuple[str, ...]
    debug: bool

    @classmethod
    def of(cls, argv: Sequence[str], *, program: str = _PROGRAM) -> Invocation:
        """What these words say."""
        return cls(program, tuple(argv), "--debug" in takewhile(lambda word: word.startswith("-"), argv))

    @classmethod
    def of_process(cls) -> Invocation:
        """What this process was started with. This is the one place that looks."""
        return cls.of(sys.argv[1:], program=sys.argv[0] if sys.argv else _PROGRAM)

    @property
    def line(self) -> tuple[str, ...]:
        """The whole line."""
        return (self.program, *self.argv)


_CURRENT: ContextVar[Invocation] = ContextVar("invocation")


def current() -> Invocation:
    """The one that is being run; outside of one, what the process was started with."""
    return _CURRENT.get(None) or Invocation.of_process()


@contextmanager
def running(invocation: Invocation) -> Iterator[None]:
    """``current`` gives this one inside."""
    token = _CURRENT.set(invocation)
    try:
        yield
    finally:
        _CURRENT.reset(token)

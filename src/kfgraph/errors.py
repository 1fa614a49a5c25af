"""Every expected failure with its exit code, and ``Notice``, a problem found in the data.

The command line turns a :class:`KfgraphError` into one line on stderr, one hint, and the exit code
of its class (``docs/exit-codes.md``). Anything else that escapes is a bug.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class KfgraphError(Exception):
    """An expected failure: ``message`` names the object, ``hint`` says what to type next."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(KfgraphError):
    """The command line cannot be meant: contradicting options, a value out of range."""

    exit_code = 2


class MachineError(KfgraphError):
    """This machine cannot do it: permission, tracer, a missing program or extra."""

    exit_code = 3


class InputError(KfgraphError):
    """The trace cannot be read: not a trace, empty, cut before its first record (also: notices under ``--strict``)."""

    exit_code = 5


class NoMatchError(KfgraphError):
    """The input is fine and nothing in it matches what was asked for."""

    exit_code = 6


class CaptureError(KfgraphError):
    """``kfgraph trace`` itself failed, before or after the child ran (as env and timeout: 125)."""

    exit_code = 125


class CommandNotExecutable(CaptureError):
    """The command to trace exists and cannot be executed."""

    exit_code = 126


class CommandNotFound(CaptureError):
    """The command to trace is not there."""

    exit_code = 127


class Interrupted(KeyboardInterrupt):
    """A signal asked to stop before there was anything to keep. The exit code is 128 + ``number``."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@dataclass(frozen=True)
class Notice:
    """One kind of problem in the data, counted.

    ``code`` is stable and machine-readable (``unmatched-exit``), ``text`` what a count of several can stand before
    (``calls with ...``) or a sentence that needs no count, ``n`` how often it was seen, ``hint`` what helps,
    ``details`` what ``--json`` adds (numbers and strings only). ``one`` is the text behind a count of one
    (``call with ...``). ``flag``: it counts the calls with this flag (:class:`kfgraph.model.calls.Flag`), so a view
    of some calls can count its own.
    """

    code: str
    text: str
    n: int = 1
    hint: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    one: str = ""
    flag: int = 0

    @property
    def sentence(self) -> str:
        """The text behind its count; without one where it is a sentence that was true once."""
        if self.n != 1:
            return f"{self.n:,} {self.text}"
        return f"1 {self.one}" if self.one else self.text

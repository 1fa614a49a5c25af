"""Every expected failure with its exit code, and ``NOTICES``, every problem that is found in the data.

The command line turns a :class:`KfgraphError` into one line on stderr, one hint, and the exit code
of its class (``docs/exit-codes.md``). Anything else that escapes is a bug.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


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


SEVERITIES = {
    "note": "nothing is wrong: something was left out or had no effect, and the notice says so",
    "incomplete": "the trace holds less than there was: what is missing is unknown, the rest is right",
    "damaged": "a part of the input cannot be read or contradicts itself: it was passed over",
}
"""How bad a notice is, and what that means."""


@dataclass(frozen=True)
class Notice:
    """One kind of problem in the data, counted. :func:`notice` makes them, from ``NOTICES``.

    ``code`` is stable and machine-readable (``exit-missing``), ``text`` what a count of several can stand before
    (``calls with ...``) or a sentence that needs no count, ``n`` how often it was seen, ``hint`` what helps,
    ``details`` what ``--json`` adds (numbers and strings only). ``one`` is the text behind a count of one
    (``call with ...``). ``flag``: it counts the calls with this flag (:class:`kfgraph.model.calls.Flag`), so a view
    of some calls can count its own. ``severity`` is one of ``SEVERITIES``.
    """

    code: str
    text: str
    n: int = 1
    hint: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    one: str = ""
    flag: int = 0
    severity: str = "incomplete"

    @property
    def sentence(self) -> str:
        """The text behind its count; without one where it is a sentence that was true once."""
        if self.n != 1:
            return f"{self.n:,} {self.text}"
        return f"1 {self.one}" if self.one else self.text


class NoticeKind(NamedTuple):
    """What a notice says. ``many`` stands behind a count of several, ``one`` behind a count of one; without ``one``,
    ``many`` is a sentence without a count. Words in braces are filled in where the notice is made.
    """

    severity: str
    many: str
    one: str = ""
    hint: str = ""


def _damage(many: str, one: str) -> NoticeKind:
    """Damage is counted, and the first one shown."""
    return NoticeKind("damaged", f"{many}, the first: {{first}}", f"{one}: {{first}}")


NOTICES: dict[str, NoticeKind] = {
    "no-effect": NoticeKind("note", "{options} {verb} nothing with {beside}"),
    "other-tasks": NoticeKind("note", "calls of {tasks} left out", "call of another task left out", hint="--all-tasks"),
    "pre-exec": NoticeKind(
        "note", "calls of kfgraph's launcher left out", "call of kfgraph's launcher left out", hint="--pre-exec"
    ),
    "other-buffers": NoticeKind(
        "note",
        "other trace buffers in the file: {buffers}",
        "other trace buffer in the file: {buffers}",
        hint="--buffer-name NAME",
    ),
    "export-unfinished": NoticeKind(
        "note",
        "calls without a known end: as long as what is known inside them",
        "call without a known end: as long as what is known inside it",
    ),
    "export-in-tracer": NoticeKind(
        "note",
        "interrupts that hit the tracer itself: beside the calls that they hit",
        "interrupt that hit the tracer itself: beside the call that it hit",
    ),
    "export-no-start": NoticeKind(
        "note",
        "calls without a known start: behind the one before",
        "call without a known start: behind the one before",
    ),
    "export-shortened": NoticeKind(
        "note", "calls longer than their callers: shortened", "call longer than its caller: shortened"
    ),
    "export-pruned": NoticeKind("note", "{what} with less than {least} left out", hint="--min 0"),
    "text-prefix": NoticeKind("note", "lines began with what is no part of the trace, like {like}: that was taken off"),
    "text-form": NoticeKind("note", "{forms} were taken out of the text"),
    "lost-records": NoticeKind(
        "incomplete",
        "places where the tracer lost records",
        "place where the tracer lost records",
        hint="record again with a larger --buffer, or less: --root, --exclude",
    ),
    "entry-missing": NoticeKind(
        "incomplete", "calls known from their exit record alone", "call known from its exit record alone"
    ),
    "exit-missing": NoticeKind(
        "incomplete",
        "calls without an exit record: they had not returned, or the record was lost",
        "call without an exit record: it had not returned, or the record was lost",
    ),
    "cut-by-loss": NoticeKind("incomplete", "calls with lost records inside them", "call with lost records inside it"),
    "depth-jump": NoticeKind(
        "incomplete", "calls whose true caller was not recorded", "call whose true caller was not recorded"
    ),
    "in-tracer": NoticeKind(
        "incomplete",
        "interrupts that hit the tracer itself: not subtracted from the call they stand in",
        "interrupt that hit the tracer itself: not subtracted from the call it stands in",
    ),
    "no-duration": NoticeKind(
        "incomplete",
        "calls without a duration: their lines have none, other lines have",
        "call without a duration: its line has none, other lines have",
    ),
    "no-duration:all": NoticeKind(
        "incomplete",
        "calls without a duration: the text has none (funcgraph-duration was off)",
        "call without a duration: the text has none (funcgraph-duration was off)",
        hint="echo 1 > options/funcgraph-duration",
    ),
    "another-recording": NoticeKind(
        "incomplete",
        "places where another recording begins: the ends of calls that were open there are not known",
        "place where another recording begins: the ends of calls that were open there are not known",
    ),
    "no-kallsyms": NoticeKind(
        "incomplete",
        "the file holds no addresses of symbols: functions are shown as addresses",
        hint="record as root, with kernel.kptr_restrict below 2",
    ),
    "earlier-boot": NoticeKind(
        "incomplete", "the records are from before a reboot and the symbols from after it: functions are addresses"
    ),
    "module-refused": NoticeKind("incomplete", "{file} names nothing: {why}"),
    "module-not-found": NoticeKind(
        "incomplete", "{file} names nothing: its functions fit no address of this trace for sure"
    ),
    "types-refused": NoticeKind("incomplete", "{file} names no type: {why}"),
    "types-unproved": NoticeKind(
        "note",
        "{file} does not tell of which kernel it is: its types are used, as it knows {n_known} of {n_asked} "
        "functions of this trace",
    ),
    "companion-mismatch": NoticeKind(
        "incomplete",
        "{file} names processes that are not in this trace: which calls are the command's is not known",
    ),
    "leftover-files": NoticeKind(
        "incomplete",
        "the recorder did not finish this file: the data of {n_files} per-CPU files beside it was read",
    ),
    "unknown-event": NoticeKind(
        "incomplete",
        "events are of types that the file does not describe, the first: {first}",
        "event is of a type that the file does not describe: {first}",
    ),
    "unread-line": NoticeKind(
        "damaged",
        "lines are no records of a function graph and were left out",
        "line is no record of a function graph and was left out",
    ),
    "cut-input": NoticeKind("damaged", "the input ends early ({why}): what stands before that was read"),
    "cut-input:line": NoticeKind("damaged", "the text ends in the middle of a line, which was left out"),
    "trace-cmd": NoticeKind("damaged", "trace-cmd report complained: {first}"),
    "companion-unread": NoticeKind(
        "damaged", "{file} cannot be read ({why}): which calls are the command's is not known"
    ),
    "contradiction": NoticeKind(
        "damaged",
        "calls that would last longer than their caller: the self time of the caller is not known",
        "call that would last longer than its caller: the caller's self time is not known",
    ),
    "contradiction:start": NoticeKind(
        "damaged",
        "calls that would begin before their caller: when they began is not known",
        "call that would begin before its caller: when it began is not known",
    ),
    "exit-elsewhere": NoticeKind(
        "damaged",
        "exits of other calls than those open at their depth: their ends are not known, nor the entries of these",
        "exit of another call than the one open at its depth: that one's end is not known, nor this one's entry",
    ),
    "cut-file": _damage("places where the file ends early", "place where the file ends early"),
    "options": _damage(
        "lists of the file's parts cannot be read to their ends", "list of the file's parts cannot be read to its end"
    ),
    "buffer": _damage("trace buffers cannot be read", "trace buffer cannot be read"),
    "cpu": _damage("CPUs' data is not where the file says", "CPU's data is not where the file says"),
    "leftover-unread": _damage(
        "files that the recorder left cannot be read", "file that the recorder left cannot be read"
    ),
    "damaged-section": _damage(
        "parts that describe the records cannot be read", "part that describes the records cannot be read"
    ),
    "damaged-kallsyms": NoticeKind("damaged", "lines of kallsyms are not symbols", "line of kallsyms is not a symbol"),
    "damaged-clock": _damage(
        "options of the clock cannot be read, so times are as recorded",
        "option of the clock cannot be read, so times are as recorded",
    ),
    "damaged-chunk": _damage("chunks of trace data make no sense", "chunk of trace data makes no sense"),
    "damaged-pages": _damage("pages of trace data make no sense", "page of trace data makes no sense"),
    "clock-back": _damage(
        "records are before those before them on their CPU, so entries before their callers' have no time",
        "record is before the one before it on its CPU, so an entry before its caller's has no time",
    ),
}
"""Every notice there is, by its code; of several with one code, the others have a colon and a name behind it.

docs/notices.md is written from this (``make notices``).
"""


def notice(
    kind: str, n: int = 1, *, flag: int = 0, details: Mapping[str, Any] | None = None, **words: object
) -> Notice:
    """The notice ``kind`` of ``NOTICES``, seen ``n`` times; ``words`` fill its sentences."""
    severity, many, one, hint = NOTICES[kind]
    code = kind.partition(":")[0]
    text, single = many.format(**words), one.format(**words)
    return Notice(code, text, n, hint, dict(details or {}), single, flag, severity)

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

    def say(self, message: str) -> None:
        """Another message, of someone who knows more."""
        self.message = message
        self.args = (message,)


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
    "note": "not a problem: something was left out or had no effect",
    "incomplete": "the trace is incomplete: missing values are unknown, the rest is correct",
    "damaged": "a part of the input cannot be read or contradicts itself, and was skipped",
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
    "no-call-sites": NoticeKind("note", "no return addresses were recorded: the lines of calls are not known"),
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
    "page-summed": NoticeKind(
        "note", "calls are in sums, to fit {size}", "call is in a sum", hint="--max-size SIZE"
    ),
    "page-left-out": NoticeKind("note", "calls that took least left out", "call left out", hint="--max-size SIZE"),
    "page-failed-left-out": NoticeKind(
        "note",
        "of them failed (kfgraph errors {trace} --limit 0 has all that failed)",
        "of them failed (kfgraph errors {trace} --limit 0 has all that failed)",
    ),
    "page-not-listed": NoticeKind("note", "{what} not listed, to fit {size}", "{what} not listed, to fit {size}"),
    "page-large": NoticeKind("note", "the page is larger than {size}: its program and the way of the error stay in it"),
    "export-unfinished": NoticeKind(
        "note",
        "calls without a known end: shown as long as the known time inside them",
        "call without a known end: shown as long as the known time inside it",
    ),
    "export-self-unknown": NoticeKind(
        "note",
        "calls with records missing inside: their own time is at most what is shown",
        "call with records missing inside: its own time is at most what is shown",
    ),
    "export-in-tracer": NoticeKind(
        "note",
        "interrupts that hit the tracer itself: shown beside the calls that they hit",
        "interrupt that hit the tracer itself: shown beside the call that it hit",
    ),
    "export-no-start": NoticeKind(
        "note",
        "calls without a known start: placed after the previous call",
        "call without a known start: placed after the previous call",
    ),
    "export-shortened": NoticeKind(
        "note", "calls longer than their callers: shortened", "call longer than its caller: shortened"
    ),
    "export-inside": NoticeKind(
        "note",
        "interrupts that hit the tracer itself: written inside the calls that they hit",
        "interrupt that hit the tracer itself: written inside the call that it hit",
    ),
    "export-no-entry": NoticeKind(
        "note",
        "calls whose entry was not recorded: written as if it was",
        "call whose entry was not recorded: written as if it was",
    ),
    "export-no-events": NoticeKind("note", "other events left out", "other event left out"),
    "export-no-losses": NoticeKind(
        "note", "places where records were lost: not marked", "place where records were lost: not marked"
    ),
    "flame-pruned": NoticeKind(
        "note", "frames left out: the narrowest of too many", "frame left out: the narrowest of too many",
        hint="--root FUNC draws a part",
    ),
    "flame-callers": NoticeKind(
        "note", "paths with less than 0.001 % of the total: their further callers are not drawn",
        "path with less than 0.001 % of the total: its further callers are not drawn", hint="--root FUNC draws a part",
    ),
    "export-pruned": NoticeKind("note", "{what} with less than {least} left out", hint="--min 0"),
    "text-prefix": NoticeKind("note", "lines had a prefix that is not part of the trace, like {like}: it was removed"),
    "text-form": NoticeKind("note", "{forms} were removed from the text"),
    "lost-records": NoticeKind(
        "incomplete",
        "places where the tracer lost records",
        "place where the tracer lost records",
        hint="record again with a larger --buffer, or less: --root, --exclude",
    ),
    "entry-missing": NoticeKind(
        "incomplete", "calls without an entry record", "call without an entry record"
    ),
    "exit-missing": NoticeKind(
        "incomplete",
        "calls without an exit record: they had not returned, or the record was lost",
        "call without an exit record: it had not returned, or the record was lost",
    ),
    "cut-by-loss": NoticeKind("incomplete", "calls with lost records inside them", "call with lost records inside it"),
    "caller-lost": NoticeKind(
        "incomplete",
        "calls whose caller is unknown, since records were lost",
        "call whose caller is unknown, since records were lost",
    ),
    "depth-jump": NoticeKind(
        "incomplete", "calls whose actual caller was not recorded", "call whose actual caller was not recorded"
    ),
    "in-tracer": NoticeKind(
        "incomplete",
        "interrupts that hit the tracer itself: nothing tells in whose time all of it was",
        "interrupt that hit the tracer itself: nothing tells in whose time all of it was",
    ),
    "off-cpu-unknown": NoticeKind(
        "incomplete",
        "calls that were off the CPU for an unknown time, since sched_switch events are missing or times contradict "
        "one another: their self time is unknown",
        "call that was off the CPU for an unknown time, since sched_switch events are missing or times contradict "
        "one another: its self time is unknown",
    ),
    "on-cpu-unknown": NoticeKind(
        "note",
        "{ns} are neither on the CPU nor off it here: their calls were off the CPU for an unknown time",
    ),
    "nosleep-time": NoticeKind(
        "note", "durations leave out the time off the CPU (nosleep-time): no time asleep is shown"
    ),
    "pid-reused": NoticeKind(
        "note",
        "pids that more than one task had, one after another: they are apart, numbered from #1 on",
        "pid that more than one task had, one after another: they are apart, numbered from #1 on",
    ),
    "no-duration": NoticeKind(
        "incomplete",
        "calls without a duration, although other lines have one",
        "call without a duration, although other lines have one",
    ),
    "no-duration:all": NoticeKind(
        "incomplete",
        "calls without a duration: the text has none (funcgraph-duration was off)",
        "call without a duration: the text has none (funcgraph-duration was off)",
        hint="echo 1 > options/funcgraph-duration",
    ),
    "no-duration:function": NoticeKind(
        "incomplete",
        "calls of the function tracer, which records no returns: durations are unknown, ends are inferred from callers",
        "call of the function tracer, which records no returns: its duration is unknown, its end is inferred",
        hint="kfgraph trace and `trace-cmd record -p function_graph` record durations",
    ),
    "another-recording": NoticeKind(
        "incomplete",
        "places where another recording begins: calls open there have no known end",
        "place where another recording begins: calls open there have no known end",
    ),
    "no-kallsyms": NoticeKind(
        "incomplete",
        "the file has no symbol addresses: functions are shown as addresses",
        hint="record as root, with kernel.kptr_restrict below 2",
    ),
    "earlier-boot": NoticeKind(
        "incomplete",
        "the records are from before a reboot and the symbols from after it: functions are shown as addresses",
    ),
    "module-refused": NoticeKind("incomplete", "{file} was not used: {why}"),
    "module-not-found": NoticeKind(
        "incomplete", "{file} was not used: its functions do not fit the addresses of this trace in exactly one way"
    ),
    "types-refused": NoticeKind("incomplete", "{file} was not used for types: {why}"),
    "types-unproved": NoticeKind(
        "note",
        "{file} does not tell which kernel it is from: its types are used because it knows {n_known} of {n_asked} "
        "functions of this trace",
    ),
    "companion-mismatch": NoticeKind(
        "incomplete",
        "{file} names processes that are not in this trace: it is unknown which calls belong to the command",
    ),
    "companion-missing": NoticeKind(
        "incomplete",
        "kfgraph recorded this file, and {file} is missing: return values, names in an unloaded module and which calls "
        "are the command's are not known",
    ),
    "companion-missing:cost": NoticeKind(
        "incomplete",
        "kfgraph recorded this file, and {file} is missing: return values, names in an unloaded module and which calls "
        "are the command's are not known; if a module was loaded, what it took to set return probes is in the self "
        "time of notifier calls",
    ),
    "leftover-files": NoticeKind(
        "incomplete",
        "the recorder did not finish this file: the data of {n_files} per-CPU files beside it was read",
    ),
    "unknown-event": NoticeKind(
        "incomplete",
        "events of types that the file does not describe, the first: {first}",
        "event of a type that the file does not describe: {first}",
    ),
    "unread-line": NoticeKind(
        "damaged",
        "lines are not function graph records and were skipped",
        "line is not a function graph record and was skipped",
    ),
    "unread-line:calls": NoticeKind(
        "damaged",
        "lines were not understood and skipped, {like} of them like records: own times around these may be too long",
        "line was not understood and skipped, and is like a record: own times around it may be too long",
    ),
    "cut-input": NoticeKind("damaged", "the input ends early ({why}): everything before that was read"),
    "cut-input:line": NoticeKind("damaged", "the text ends in the middle of a line, which was skipped"),
    "trace-cmd": NoticeKind("damaged", "trace-cmd report printed an error: {first}"),
    "companion-unread": NoticeKind(
        "damaged", "{file} cannot be read ({why}): it is unknown which calls belong to the command"
    ),
    "contradiction": NoticeKind(
        "damaged",
        "calls that would last longer than their caller: the self time of the caller is unknown",
        "call that would last longer than its caller: the caller's self time is unknown",
    ),
    "contradiction:start": NoticeKind(
        "damaged",
        "calls that would begin before their caller: their start is unknown",
        "call that would begin before its caller: its start is unknown",
    ),
    "exit-elsewhere": NoticeKind(
        "damaged",
        "exits that do not match the open call at their depth: the open calls have no known end, the exits no entry",
        "exit that does not match the open call at its depth: the open call has no known end, the exit no entry",
    ),
    "cut-file": _damage("places where the file ends early", "place where the file ends early"),
    "options": _damage(
        "lists of file sections cannot be read completely", "list of file sections cannot be read completely"
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
    "damaged-chunk": _damage("chunks of trace data cannot be decoded", "chunk of trace data cannot be decoded"),
    "damaged-pages": _damage("pages of trace data cannot be decoded", "page of trace data cannot be decoded"),
    "clock-back": _damage(
        "records are earlier than their predecessors on the same CPU: entries earlier than their caller have no time",
        "record is earlier than its predecessor on the same CPU: an entry earlier than its caller has no time",
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

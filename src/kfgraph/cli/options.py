"""The options that several commands share, each written once, and what goes with them.

A command takes ``trace: TraceArgument = DEFAULT_TRACE`` and the options below by their types; the
defaults stand in the command. ``filters: AnyCalls`` is all filters, ``Annotated[Filters, Group((...))]`` some.
``reading: HowRead = AS_DETECTED`` is how the trace is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from kfgraph.analyze.filters import Filters
from kfgraph.cli import invocation, memory, notes, progressbar
from kfgraph.cli.declared import Group, Operand, Option
from kfgraph.cli.no_effect import Idle
from kfgraph.errors import NoMatchError
from kfgraph.model.spelling import shell_word

if TYPE_CHECKING:
    from kfgraph.model.trace import Trace

DEFAULT_TRACE = "trace.dat"

TraceArgument = Annotated[str, Operand("TRACE", "A trace.dat or a report text (also .gz, .xz, .zst), or - for stdin.")]
AnyCalls = Annotated[Filters, Group()]


class Reading(NamedTuple):
    """How a trace is read, for every command that reads one."""

    strict: Annotated[bool, Option(("--strict",), "Exit with 5 if there are problems in the data.")] = False
    reader: Annotated[
        str | None, Option(("--reader",), "Reader to use (default: detected from the file).", metavar="NAME")
    ] = None
    buffer: Annotated[
        str | None, Option(("--buffer-name",), "Trace buffer to read (default: the main one).", metavar="NAME")
    ] = None
    module: Annotated[
        list[str] | None,
        Option(
            ("--module",),
            "File of an unloaded module (.ko, .xz, .zst, .gz, or a directory), for the names of its "
            "functions; repeatable.",
            metavar="FILE",
        ),
    ] = None
    btf: Annotated[
        list[str] | None,
        Option(
            ("--btf",),
            "The kernel's types (/sys/kernel/btf/vmlinux, a vmlinux or a .ko with BTF), where the trace has none; "
            "repeatable.",
            metavar="FILE",
        ),
    ] = None
    quiet: Annotated[bool, Option(("-q", "--quiet"), "No progress bar.")] = False


HowRead = Annotated[Reading, Group()]
AS_DETECTED = Reading()
DebugInfo = Annotated[
    list[str] | None,
    Option(
        ("--debuginfo",),
        "File and line of functions, and of calls whose return address was recorded, from the debug info of a vmlinux "
        "or a module (.ko); repeatable.",
        metavar="FILE",
    ),
]
SourceTrees = Annotated[
    list[str] | None,
    Option(("--source",), "File and line of functions from the C files below DIR; repeatable.", metavar="DIR"),
]
_LINKS = "Links to sources"


class Linking(NamedTuple):
    """Where the names of functions lead: for commands that show them."""

    source: Annotated[
        list[str] | None,
        Option(("--source",), "Link functions to the C files below DIR; repeatable.", _LINKS, "DIR"),
    ] = None
    debuginfo: Annotated[
        list[str] | None,
        Option(
            ("--debuginfo",),
            "Link functions to file and line, from debug info of a vmlinux or .ko; it tells the lines of calls too, "
            "where return addresses were recorded. Repeatable.",
            _LINKS, "FILE",
        ),
    ] = None
    link: Annotated[
        list[str] | None,
        Option(
            ("--link",),
            "Addresses of other links: {version}, {function}; {path}, {line} of files here. "
            "Default: KFGRAPH_LINK, else elixir.bootlin.com. Repeatable.",
            _LINKS, "URL",
        ),
    ] = None
    no_links: Annotated[bool, Option(("--no-links",), "No links.", _LINKS)] = False


LINKED = ("source", "debuginfo", "link")
HowLinked = Annotated[Linking, Group()]
AS_KNOWN = Linking()
Redact = Annotated[
    bool,
    Option(("--redact",), "Without the names of tasks, files, the host and the command, arguments, texts of events."),
]
Compensate = Annotated[
    bool, Option(("--compensate",), "All times less what the tracing of the calls took: estimates, marked ≈.")
]
Json = Annotated[bool, Option(("--json",), "Machine-readable output.")]

IDLE = (
    # A task that is asked for is shown, whoever's it is.
    Idle("task", ("all_tasks",)),
    Idle("pid", ("all_tasks",)),
)
NO_LINKS = (Idle("no_links", LINKED), *IDLE)


def open_trace(
    path: str, reading: Reading = AS_DETECTED, *, may_be_empty: bool = False, after_s: float | None = None
) -> Trace:
    """The trace at ``path``; under ``--debug`` its tables are checked.

    Raises:
        NoMatchError: it holds no function call, unless it ``may_be_empty``.
    """
    memory.prepare_for_numpy()
    from kfgraph.parse import load

    with progressbar.shown(f"reading {path}", quiet=reading.quiet, after_s=after_s):
        trace = load(
            path, reader=reading.reader, buffer=reading.buffer, modules=reading.module or (), btf=reading.btf or ()
        )
    if invocation.current().debug:
        trace.check()
    if not (len(trace.calls) or may_be_empty):
        hint = f"kfgraph info {shell_word(path)} says what it holds"
        if trace.notices:
            # What is damaged may be why: no guess at how it was recorded beside that.
            notes.tell([], trace.notices, trace.meta.as_typed)
        else:
            hint += "; was it recorded with -p function_graph?"
        raise NoMatchError(f"{path}: no function call was recorded", hint)
    return trace

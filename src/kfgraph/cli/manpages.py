"""The manual pages, made of what the commands declare; setup.py writes them into the wheel.

Only the standard library is needed: nothing else is there where a wheel is built.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from typing import Literal, get_args, get_origin

from kfgraph.cli.commands import COMMANDS, ON_NUMBERS, Command
from kfgraph.cli.declared import Operand, Option, Parameter, parameters

_SUMMARY = "strace for the inside of the kernel"
_DESCRIPTION = (
    "Records one command with the kernel's function_graph tracer and shows which kernel functions it ran, who called "
    "whom, how long each took, and where an error came from."
)
EXIT_STATUS = (
    ("0", "Success."),
    ("1", "A bug in kfgraph."),
    ("2", "The command line means nothing."),
    ("3", "This machine cannot do it."),
    ("4", "kfgraph why: something failed, and the origin of the error is unknown."),
    ("5", "The input cannot be read; with --strict, there are problems in the data."),
    ("6", "Nothing matched; kfgraph why: nothing failed."),
    ("130", "Interrupted by Ctrl-C."),
)
_TRACE_STATUS = (
    ("N", "The exit status of the command; 128+N if signal N ended it."),
    ("125", "kfgraph itself failed, or this machine cannot trace."),
    ("126, 127", "The command cannot be executed; it was not found."),
    ("2", "The options mean nothing."),
)

_LETTERS = str.maketrans(
    {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", ".": r"\&."}
)
"""What roff takes for a command, or prints as a typesetter has it, which a shell does not understand: groff_char(7)."""


def pages(version: str) -> dict[str, str]:
    """Every page: its file name (``kfgraph-show.1``), and its text in roff with the macros of man(7)."""
    found = {"kfgraph.1": "\n".join(_overview(version)) + "\n"}
    for command in COMMANDS:
        found[f"kfgraph-{command.name}.1"] = "\n".join(_page(command, version)) + "\n"
    return found


def _overview(version: str) -> Iterator[str]:
    yield from _head("kfgraph", _SUMMARY, version)
    yield from (".SH SYNOPSIS", r".B kfgraph", r"[\-\-debug] \fICOMMAND\fR ...", ".br", r".B kfgraph \-\-version")
    yield from (".SH DESCRIPTION", _text(_DESCRIPTION), ".SH COMMANDS")
    for command in COMMANDS:
        yield from (".TP", rf".BR kfgraph\-{command.name} (1)", _text(command.summary))
    yield from (".SH OPTIONS", ".TP", r".B \-\-debug", "Tracebacks for bugs, and a check of every table.")
    yield from (".TP", r".B \-\-version", "Print the version.")
    yield from (".TP", r".B \-\-install\-completion", "Complete commands and options in this shell.")
    yield from _exit_status(EXIT_STATUS)
    yield from (".SH EXAMPLES", ".nf")
    yield from map(_text, ("kfgraph trace insmod foo.ko", "kfgraph why", "kfgraph show --root load_module"))
    yield ".fi"


def _page(command: Command, version: str) -> Iterator[str]:
    module = importlib.import_module(command.module)
    declared = parameters(module.run)
    options = [one for one in declared if isinstance(one.declared, Option)]
    operands = [one.declared for one in declared if not isinstance(one.declared, Option)]
    yield from _head(f"kfgraph-{command.name}", command.summary.rstrip("."), version)
    usage = [rf"[\fI{_text(one.metavar)}\fR]" if isinstance(one, Operand) else rf"\fI{_text(one.metavar)}\fR"
             for one in operands]  # fmt: skip
    yield from (".SH SYNOPSIS", f".B kfgraph {command.name}", " ".join([r"[\fIOPTIONS\fR]", *usage]))
    if command.takes_command and not command.passthrough:
        yield from (".br", f".B kfgraph {command.name}", r"[\fIOPTIONS\fR] \-\- \fICOMMAND\fR ...")
    yield ".SH DESCRIPTION"
    for paragraph in re.split(r"\n\s*\n", (module.run.__doc__ or command.summary).strip()):
        yield from (".PP", _text(" ".join(paragraph.split())))
    for operand in operands:
        yield from (".TP", rf".I {_text(operand.metavar)}", _text(operand.help))
    yield ".SH OPTIONS"
    by_panel: dict[str, list[Parameter]] = {"": []}  # those of no panel first, as in the help
    for one in options:
        by_panel.setdefault(one.declared.panel or "", []).append(one)  # type: ignore[union-attr]
    for panel, several in by_panel.items():
        if panel:
            yield f".SS {_text(panel)}"
        for one in several:
            yield from _option(one)
        if not panel:
            yield from (".TP", r"\fB\-\-help\fR, \fB\-h\fR", "Show the help and exit.")
    examples = [line for line in getattr(module, "EXAMPLES", "").splitlines()[1:] if line]
    if examples:
        yield from (".SH EXAMPLES", ".nf", *map(_text, examples), ".fi")
    yield from _exit_status(_TRACE_STATUS if command.passthrough else EXIT_STATUS)
    yield ".SH SEE ALSO"
    others = [one.name for one in COMMANDS if one is not command]
    yield ".BR kfgraph (1),"
    for name in others:
        yield rf".BR kfgraph\-{name} (1)" + ("" if name == others[-1] else ",")
    if command.tells_times:
        yield from (".PP", _text(ON_NUMBERS))


def _head(name: str, summary: str, version: str) -> Iterator[str]:
    # No date: the same sources make the same page.
    yield f'.TH "{_text(name).upper()}" 1 "" "kfgraph {version}" "User commands"'
    yield from (".SH NAME", rf"{_text(name)} \- {_text(summary[0].lower() + summary[1:])}")


def _option(one: Parameter) -> Iterator[str]:
    declared = one.declared
    assert isinstance(declared, Option)
    value = "" if one.kind is bool else rf" \fI{_text(_value(one, declared))}\fR"
    yield ".TP"
    yield ", ".join(rf"\fB{_text(name)}\fR{value}" for name in declared.names)
    yield _text(declared.help)


def _value(one: Parameter, declared: Option) -> str:
    if declared.metavar:
        return declared.metavar
    if get_origin(one.kind) is Literal:
        return "|".join(get_args(one.kind))
    return {int: "N", float: "SECONDS"}.get(one.kind, "TEXT")


def _exit_status(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for code, meaning in rows:
        yield from (".TP", f".B {code}", _text(meaning))


def _text(words: str) -> str:
    """``words`` so that roff takes no letter of them for its own; rich's escaped brackets are plain ones."""
    return words.replace("\\[", "[").translate(_LETTERS)

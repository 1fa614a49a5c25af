"""A first word that is no command: a trace is shown; for a program, a module, another tool's word, what to type."""

from __future__ import annotations

import difflib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from kfgraph.cli.commands import COMMANDS
from kfgraph.errors import UsageError
from kfgraph.model.files import COMPANION_SUFFIX
from kfgraph.model.spelling import shell_line

_MODULE = re.compile(r".+\.ko(\.(gz|xz|zst))?")
_TRACE_LIKE = re.compile(r".*/.*|.+\.(dat|txt|gz|xz|zst)")
_OURS = {"report": "show", "replay": "show", "record": "trace"}
"""Words of trace-cmd, perf and uftrace for what kfgraph calls otherwise; no program has such a name."""
_OURS_TOO = {
    **dict.fromkeys(("graph", "tui", "tree", "view", "script", "print", "open", "display"), "show"),
    **dict.fromkeys(("run", "exec", "capture", "live", "start", "stream"), "trace"),
    **dict.fromkeys(("stat", "stats", "profile", "hist", "functions", "summary"), "top"),
    **dict.fromkeys(("dump", "meta", "describe"), "info"),
    **dict.fromkeys(("check", "setup", "selftest"), "doctor"),
}
"""The same, of words that may name a program here."""


def meaning(argv: Sequence[str]) -> list[str]:
    """The command line that ``argv`` means, whose first word is no command.

    Raises:
        UsageError: it is none that is run without being typed in full; the hint says the line.
    """
    word, rest = argv[0], list(argv[1:])
    if word in _OURS:
        _refuse(word, _OURS[word], rest)
    if _MODULE.fullmatch(word):
        raise UsageError(f"{word} is a module, not a command of kfgraph", _trace_hint(["insmod", word, *rest]))
    if word.endswith(COMPANION_SUFFIX):
        trace = word.removesuffix(COMPANION_SUFFIX)
        raise UsageError(f"{word} belongs to a trace and is not a trace", shell_line(["kfgraph", "show", trace, *rest]))
    if word == "-" or os.path.exists(word):  # noqa: PTH110 (a Path refuses some names)
        if word != "-" and (os.sep in word or shutil.which(word) is None) and _is_program(word):
            path = word if os.sep in word else f"./{word}"
            raise UsageError(f"{word} is a program, not a command of kfgraph", _trace_hint([path, *rest]))
        if word == "-" or os.sep in word or os.path.isfile(word):  # noqa: PTH113
            return ["show", word, *rest]
    if os.sep not in word and shutil.which(word):
        raise UsageError(f"{word} is a program, not a command of kfgraph", _trace_hint([word, *rest]))
    if word in _OURS_TOO:
        _refuse(word, _OURS_TOO[word], rest)
    if _TRACE_LIKE.fullmatch(word):
        raise UsageError(f"{word}: no such file, and not a kfgraph command", "kfgraph --help")
    if not word.startswith("-"):
        raise UsageError(f"No such command {word!r}.{_suggested(word)}", "kfgraph --help")
    return [word, *rest]


def _suggested(word: str) -> str:
    """The commands with names like ``word``. typer and click suggest too, or not, or both, by their versions."""
    near = difflib.get_close_matches(word, [command.name for command in COMMANDS])
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def _is_program(path: str) -> bool:
    """An executable file that is no trace: of a file system where all files are executable, what it begins with."""
    if not (os.path.isfile(path) and os.access(path, os.X_OK)):  # noqa: PTH113
        return False
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(4).startswith((b"\x7fELF", b"#!"))
    except OSError:
        return True


def _refuse(word: str, command: str, rest: Sequence[str]) -> None:
    line = {"trace": _as_trace, "show": _as_show}.get(command, list)(rest)
    what = f"No such command {word!r}: in kfgraph it is {command}"
    raise UsageError(what, _recording(line) if command == "trace" else shell_line(["kfgraph", command, *line]))


def _trace_hint(words: Sequence[str]) -> str:
    guest = shell_line(["kfgraph", "trace", "--guest", *words])
    return f"{_recording(words)}, or in a guest, which needs no root: {guest}"


def _recording(words: Sequence[str]) -> str:
    return shell_line([*([] if "--guest" in words else ["sudo"]), "kfgraph", "trace", *words])


class _Habit(NamedTuple):
    """What an option of another tool is here: words for its place ({} is its value), or none."""

    has_value: bool = True
    ours: tuple[str, ...] = ()
    extra: bool = False
    """It is handed to trace-cmd."""


def _habits(*, values: str = "", flags: str = "", extra: str = "", **ours: _Habit) -> Mapping[str, _Habit]:
    known = {f"-{letter}": _Habit() for letter in values} | {f"-{letter}": _Habit(has_value=False) for letter in flags}
    known |= {f"-{letter}": _Habit(extra=True) for letter in extra}
    return known | {(f"--{n.replace('_', '-')}" if len(n) > 1 else f"-{n}"): habit for n, habit in ours.items()}


_SHOW = _habits(
    values="rnFHO",
    flags="feElLNPRIGSTqvw",
    i=_Habit(ours=("{}",)),
    input=_Habit(ours=("{}",)),
    file=_Habit(ours=("{}",)),
    data=_Habit(ours=("{}",)),
    B=_Habit(ours=("--buffer-name", "{}")),
    D=_Habit(ours=("--depth", "{}")),
    t=_Habit(False, ours=("--start",)),
    stdio=_Habit(False),
)
_TRACE = _habits(
    values="pHNV",
    flags="FadDqkitTGS",
    extra="RfmMrsBO",
    c=_Habit(False, ours=("-f",)),
    P=_Habit(ours=("-p", "{}")),
    g=_Habit(ours=("--root", "{}")),
    n=_Habit(ours=("--exclude", "{}")),
    l=_Habit(ours=("--only", "{}")),
    o=_Habit(ours=("-o", "{}")),
    e=_Habit(ours=("-e", "{}")),
    b=_Habit(ours=("--buffer", "{}K")),
    C=_Habit(ours=("--clock", "{}")),
    max_graph_depth=_Habit(ours=("--max-depth", "{}")),
    module=_Habit(ours=("--only", ":mod:{}")),
    output=_Habit(ours=("-o", "{}")),
    quiet=_Habit(False, ours=("-q",)),
)


def _as_show(words: Sequence[str]) -> list[str]:
    return [word for part, _ in _translated(words, _SHOW, operands_end=False) for word in part]


def _as_trace(words: Sequence[str]) -> list[str]:
    line: list[str] = []
    extra: list[str] = []
    runs = False
    for part, is_extra in _translated(words, _TRACE, operands_end=True):
        (extra if is_extra else line).extend(part)
        runs = bool(part) and (part[0] == "--" or not part[0].startswith("-"))
    command = [] if runs or "-p" in line or "--pid" in line else ["COMMAND"]
    return [*(["--trace-cmd-args", shell_line(extra)] if extra else []), *line, *command]


def _translated(
    words: Sequence[str], habits: Mapping[str, _Habit], *, operands_end: bool
) -> Iterator[tuple[Sequence[str], bool]]:
    """(words, are they for trace-cmd), one option or operand at a time; what is not known is carried over."""
    from kfgraph.cli.fastparse import takes_value
    from kfgraph.cli.trace import run

    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--" or not word.startswith("-") or word == "-":
            yield ([word, *rest] if operands_end else [word]), False
            if operands_end:
                return
            continue
        name, equals, value = word.partition("=")
        if not word.startswith("--") and len(word) > 2 and habits.get(word[:2], _Habit(False)).has_value:
            name, equals, value = word[:2], "=", word[2:]  # -iFILE
        habit = habits.get(name)
        if habit is None:
            more = [rest.pop(0)] if rest and not equals and operands_end and takes_value(run, name) else []
            yield [word, *more], False
            continue
        given = ""
        if habit.has_value:
            given = value if equals else rest.pop(0) if rest else name[1:].upper()
        if habit.extra:
            yield [name, *([given] if habit.has_value else [])], True
        else:
            yield [part.format(given) for part in habit.ours], False

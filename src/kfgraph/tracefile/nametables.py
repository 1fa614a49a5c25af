"""Names that a trace.dat holds in its tables, found without reading a record: what a shell completes.

Imports no numpy: a shell that completes a word is not to wait.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from kfgraph.model.files import COMPANION_SUFFIX
from kfgraph.tracefile.contents import Contents
from kfgraph.tracefile.layout import Option
from kfgraph.tracefile.source import Damage

_MOST_BYTES = 1 << 20
"""Of a file beside a trace: a shell does not wait for more."""


def function_names(contents: Contents, begins: str) -> list[str]:
    """The functions of the kernel that was traced whose names begin so, sorted."""
    letters = re.escape(begins.encode())
    names = _found(contents, Option.KALLSYMS, 4, rb"^[0-9a-fA-F]+ [tTwW] (" + letters + rb"[^\s\[]*)")
    # The unlikely part of a function is no function: nothing calls it.
    return [name for name in names if not name.endswith(".cold")]


def module_names(contents: Contents, begins: str) -> list[str]:
    """The modules that were loaded when the recording was made."""
    letters = re.escape(begins.encode())
    return _found(contents, Option.KALLSYMS, 4, rb"\t\[((?!__builtin__)" + letters + rb"[^\]\s]*)\]$")


def module_functions(trace: str, begins: str) -> list[str]:
    """The functions of the modules that the command loaded whose names begin so: the trace's own table lacks those of a
    module that was gone when it was written."""
    return sorted({name for _, functions in _loaded(trace) for name in functions if _is_word(name, begins)})


def loaded_modules(trace: str, begins: str) -> list[str]:
    """The modules that the command loaded."""
    return sorted({name for name, _ in _loaded(trace) if _is_word(name, begins)})


def _is_word(name: str, begins: str) -> bool:
    return name.startswith(begins) and re.fullmatch(r"[\w.$-]+", name, re.ASCII) is not None


def _loaded(trace: str) -> list[tuple[str, list[str]]]:
    """(name, functions) of each module that the file beside the trace tells; nothing where it cannot be read."""
    file = Path(trace + COMPANION_SUFFIX)
    try:
        if file.stat().st_size > _MOST_BYTES:
            return []
        modules = json.loads(file.read_bytes())["modules"]
        return [(str(one["name"]), [str(function["name"]) for function in one["functions"]]) for one in modules]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def task_names(contents: Contents, begins: str) -> list[str]:
    """The names of the tasks that the kernel remembered."""
    names = _found(contents, Option.CMDLINES, 8, rb"^\d+ (" + re.escape(begins.encode()) + rb".*)$")
    return [name for name in names if name != "<...>"]


def event_names(contents: Contents, begins: str) -> list[str]:
    """The events that the kernel could record."""
    # The size of a format stands right before its first line.
    return _found(contents, Option.EVENT_FORMATS, 0, rb"name: (" + re.escape(begins.encode()) + rb"\S*)\nID: ")


def _found(contents: Contents, option: Option, size_bytes: int, pattern: bytes) -> list[str]:
    """What the group of ``pattern`` is in a section behind its size, sorted; nothing where it is damaged."""
    try:
        section = contents.section(option)
        if section is None:
            return []
        if size_bytes:
            section.number(size_bytes, "the size")
    except Damage:
        return []
    found: Iterable[bytes] = re.findall(pattern, section.data[section.pos :], re.MULTILINE)
    return sorted({name.decode("utf-8", "replace") for name in found})

"""What a shell is offered for the value of an option: names from the trace's tables, from the tracer, from /boot.

Nothing is offered where that takes long (a compressed file, a text) or would fill screens; a shell then offers files.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kfgraph.errors import KfgraphError

MOST = 2000
"""More names than this are not offered: nobody reads them, and the shell is slow with them."""
_TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))

Completer = Callable[[str, str], list[str]]
"""(the trace's path, the letters so far) -> the words, sorted."""


def of_trace(table: str) -> Completer:
    """Names of one table of the trace: ``function``, ``module``, ``task`` or ``event``."""

    def complete(path: str, begins: str) -> list[str]:
        from kfgraph.tracefile import nametables
        from kfgraph.tracefile.contents import read_contents

        with contextlib.closing(read_contents(path)) as contents:
            find: Any = getattr(nametables, f"{table}_names")
            names = list(find(contents, begins))
        beside = {"function": nametables.module_functions, "module": nametables.loaded_modules}.get(table)
        return sorted({*names, *beside(path, begins)}) if beside else names

    return complete


def of_tracer(file: str) -> Completer:
    """Names that this machine's tracer lists in a file, as far as this user may read it."""

    def complete(_path: str, begins: str) -> list[str]:
        text = next((folder / file for folder in _TRACEFS if (folder / file).exists()), Path(file)).read_bytes()
        found = re.findall(rb"^(" + re.escape(begins.encode()) + rb"\S*)", text, re.MULTILINE)
        return sorted({name.decode("utf-8", "replace") for name in found})

    return complete


def kernel_images(_path: str, begins: str) -> list[str]:
    """The kernels that a guest may be booted with."""
    from kfgraph.kernel.images import list_images

    return [word for word in ["list", *(image.release for image in list_images())] if word.startswith(begins)]


READING: Mapping[str, Completer] = {
    "FUNC": of_trace("function"),
    "GLOB": of_trace("function"),
    "COMM": of_trace("task"),
    "EVENT": of_trace("event"),
    "MODULE": of_trace("module"),
}
"""What the values of a reading command's options are, by the name that help gives them."""
RECORDING: Mapping[str, Completer] = {
    "FUNC": of_tracer("available_filter_functions"),
    "GLOB": of_tracer("available_filter_functions"),
    "EVENT": of_tracer("available_events"),
    "IMAGE|list": kernel_images,
}
"""The same of a command that records."""


def words(completer: Completer, path: str, begins: str) -> list[str]:
    """What is offered; nothing where the file is not there or cannot be read."""
    try:
        found = completer(path, begins)
    except (KfgraphError, OSError):
        return []
    return found if len(found) <= MOST else []

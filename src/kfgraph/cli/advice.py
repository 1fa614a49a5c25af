"""What to type against lost events, computed from the recording that lost them."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kfgraph.capture.prepare import available_memory_kb
from kfgraph.capture.run import Recording

if TYPE_CHECKING:
    from kfgraph.model.trace import Trace

# Mean of an entry and an exit record with their headers: 34 bytes without a return value, 38 with one,
# up to 64 with arguments. What is advised must hold.
_RECORD_BYTES, _RECORD_BYTES_WITH_ARGS = 40, 72
_MIB = 1024 * 1024
# A function with more of the trace below it is what the trace is about; one with less is no help.
_MOST_SHARE, _LEAST_SHARE = 0.5, 0.05


def against_loss(recording: Recording, trace: Trace | None, *, root: str, arguments: Sequence[str]) -> list[str]:
    """Command lines, best first; empty if nothing was lost. ``arguments`` is this run's command line."""
    if not any(cpu.n_lost for cpu in recording.stats):
        return []
    found = []
    if size := buffer_that_holds(recording):
        found.append(_again(recording, arguments, "--buffer", size))
    if trace is not None and (name := heaviest_below(trace)):
        found.append(_again(recording, arguments, "--exclude", name))
    options = arguments[: len(arguments) - len(recording.companion.argv)]
    if root and not any(word == "--root" or word.startswith("--root=") for word in options):
        found.append(_again(recording, arguments, "--root", root))
    return found


def buffer_that_holds(recording: Recording) -> str:
    """The size of each CPU's buffer that would have held all its events; "" if the memory has no room for it."""
    with_args = "funcgraph-args" in recording.companion.trace_cmd
    record_bytes = _RECORD_BYTES_WITH_ARGS if with_args else _RECORD_BYTES
    most = max(cpu.n_events + cpu.n_lost for cpu in recording.stats)
    size_mib = -(-most * record_bytes // _MIB)
    if size_mib * 1024 * len(recording.stats) > available_memory_kb() * 3 // 4:
        return ""
    return f"{size_mib}M"


def heaviest_below(trace: Trace) -> str:
    """The function with the most calls in and below it, of those that are not what the trace is about; or ""."""
    import numpy as np

    calls = trace.calls
    if not len(calls):
        return ""
    in_subtree = calls.end - np.arange(len(calls))
    # A recursive call is inside the outer one and is not counted again.
    inner = (calls.parent >= 0) & (calls.func[np.maximum(calls.parent, 0)] == calls.func)
    below = np.bincount(calls.func[~inner], weights=in_subtree[~inner], minlength=len(trace.symbols)) / len(calls)
    below[(below > _MOST_SHARE) | ~trace.symbols.resolved] = 0
    best = int(below.argmax())
    return trace.symbols.names[best] if below[best] >= _LEAST_SHARE else ""


def _again(recording: Recording, arguments: Sequence[str], option: str, value: str) -> str:
    """This run's command line, as it was typed, with one option more or another one, before the command's words."""
    n_words = len(recording.companion.argv)
    options, words = list(arguments[: len(arguments) - n_words]), arguments[len(arguments) - n_words :]
    dashes = [options.pop()] if options and options[-1] == "--" else []
    if option == "--buffer":
        options = _without(options, option)
    return shlex.join([*own_words(sys.argv[0], os.environ), *options, option, value, *dashes, *words])


def _without(options: list[str], option: str) -> list[str]:
    kept = []
    words = iter(options)
    for word in words:
        if word == option:
            next(words, None)
        elif not word.startswith(f"{option}="):
            kept.append(word)
    return kept


def own_words(program: str, env: Mapping[str, str]) -> list[str]:
    """How this very kfgraph is called again: by its name where that finds it, else by its path; with sudo."""
    found = shutil.which("kfgraph", path=env.get("PATH"))
    if program.endswith("__main__.py"):
        name = [sys.executable, "-m", "kfgraph"]
    elif os.sep not in program or (found and os.path.abspath(found) == os.path.abspath(program)):  # noqa: PTH100
        name = ["kfgraph"]
    else:
        name = [os.path.abspath(program)]  # noqa: PTH100 (links stay)
    if "SUDO_UID" not in env or os.geteuid() != 0:
        return name
    # What finds it under sudo may not be what finds it for the user: the path is right for both.
    return ["sudo", *(name if os.sep in name[0] else [os.path.abspath(found or program)])]  # noqa: PTH100

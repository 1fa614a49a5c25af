"""What to type against lost events, computed from the recording that lost them."""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kfgraph.capture.plan import RAW_SYSCALLS
from kfgraph.capture.recording import Recording
from kfgraph.cli import invocation
from kfgraph.kernel.loader import LOADER_FUNCTIONS
from kfgraph.model.companion import Companion
from kfgraph.model.spelling import shell_line

if TYPE_CHECKING:
    from kfgraph.model.trace import Trace

# Mean of an entry and an exit record with their headers: 34 bytes without a return value, 38 with one,
# up to 64 with arguments; with a threshold there are exits only, of up to 52. What is advised must hold.
_RECORD_BYTES, _EXIT_BYTES, _RECORD_BYTES_WITH_ARGS = 40, 52, 72
_MIB = 1024 * 1024
# A function with more of the trace below it is what the trace is about; one with less is no help.
_MOST_SHARE, _LEAST_SHARE = 0.5, 0.05
# Nor is one that is a stage of the job instead of a helper that is called all the time.
_MOST_SHARE_OF_A_CALL = 0.01
# Without the way in there is nothing to see: entries of system calls, and what leads to them.
_WAY_IN = re.compile(r"(__(x64|ia32|arm64|s390x?|riscv|se|do)_(compat_)?sys_|\w*(syscall|sys_call)|el0_|entry_)\w*")


def against_loss(recording: Recording, trace: Trace | None, *, root: str, arguments: Sequence[str]) -> list[str]:
    """Command lines, best first; empty if nothing was lost. ``arguments`` is this run's command line."""
    if not any(cpu.n_lost for cpu in recording.stats):
        return []
    found = []
    if size := buffer_that_holds(recording):
        found.append(_again(recording, arguments, "--buffer", size))
    if trace is not None and (name := heaviest_below(trace, recording.companion)):
        found.append(_again(recording, arguments, "--exclude", name))
    options = arguments[: len(arguments) - len(recording.companion.argv)]
    if root and not any(word == "--root" or word.startswith("--root=") for word in options):
        found.append(_again(recording, arguments, "--root", root))
    return found


def again_with_children(recording: Recording, trace: Trace, *, arguments: Sequence[str]) -> str:
    """This run's line with -f, if the command was to load a module and no load is in the trace; else ""."""
    companion = recording.companion
    restricted = any(companion.options.get(name) for name in ("roots", "only", "excludes"))
    if companion.follow or restricted or not (companion.modules and companion.argv):
        return ""
    return "" if "load_module" in trace.symbols.names else _again(recording, arguments, "-f")


def buffer_that_holds(recording: Recording) -> str:
    """The size of each CPU's buffer that would have held all its events, as ``-b`` takes it.

    "" if the memory has no room for it, or if a size was given among the options for trace-cmd, which take precedence.
    """
    if any(word.startswith("-b") for word in recording.companion.options.get("extra", ())):
        return ""
    # At least as much larger than the one that lost as there were events too many, however large each was.
    needed = max(
        max((cpu.n_events + cpu.n_lost) * _record_bytes(recording.companion) for cpu in recording.stats),
        *(recording.buffer_kb * 1024 * (1 + cpu.n_lost / max(1, cpu.n_events)) for cpu in recording.stats),
    )
    size_mib = math.ceil(needed / _MIB)
    if recording.most_buffer_kb and size_mib * 1024 > recording.most_buffer_kb:
        return ""
    return f"{size_mib}M"


def _record_bytes(companion: Companion) -> int:
    other_events = any(companion.options.get(name) for name in ("events", "syscalls", "sched"))
    # System calls are few beside all their functions, and the most of what is left where those are not recorded.
    restricted = any(companion.options.get(name) for name in ("roots", "only", "max_depth", "min_duration_us"))
    other_events |= restricted and RAW_SYSCALLS[0] in companion.trace_cmd
    if other_events or "funcgraph-args" in companion.trace_cmd:
        return _RECORD_BYTES_WITH_ARGS
    return _EXIT_BYTES if companion.options.get("min_duration_us") else _RECORD_BYTES


def heaviest_below(trace: Trace, companion: Companion) -> str:
    """The function with the most calls in and below it, of those that are not what the trace is about; or "".

    It is about the system calls, the loading of a module and that module, and what was asked for with --root.
    """
    import numpy as np

    from kfgraph.model.calls import Flag

    calls = trace.calls
    in_subtree = calls.end - np.arange(len(calls))
    # A recursive call is inside the outer one and is not counted again.
    inner = (calls.parent >= 0) & (calls.func[np.maximum(calls.parent, 0)] == calls.func)
    counted = ~inner & ~calls.has(Flag.PRE_EXEC)
    if not counted.any():
        return ""
    below = np.bincount(calls.func[counted], weights=in_subtree[counted], minlength=len(trace.symbols)) / len(calls)
    n_calls = np.bincount(calls.func[counted], minlength=len(trace.symbols))
    below[below / np.maximum(n_calls, 1) > _MOST_SHARE_OF_A_CALL] = 0
    below[(below > _MOST_SHARE) | ~trace.symbols.resolved] = 0
    topic = {*LOADER_FUNCTIONS, *companion.options.get("roots", ())}
    topic |= {function.name for module in companion.modules for function in module.functions}
    for best in np.argsort(-below, kind="stable"):
        name = str(trace.symbols.names[best])
        if below[best] < _LEAST_SHARE:
            break
        if name not in topic and not _WAY_IN.fullmatch(name):
            return name
    return ""


def _again(recording: Recording, arguments: Sequence[str], option: str, *value: str) -> str:
    """This run's command line, as it was typed, with one option more or another one, before the command's words."""
    n_words = len(recording.companion.argv)
    options, words = list(arguments[: len(arguments) - n_words]), arguments[len(arguments) - n_words :]
    dashes = [options.pop()] if options and options[-1] == "--" else []
    if option == "--buffer":
        options = _without(options, option)
    return shell_line([*own_words(invocation.current().program, os.environ), *options, option, *value, *dashes, *words])


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

"""Options -> a plan that this kernel can carry out, or the reason why it cannot."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from kfgraph.capture.loads import find_loads
from kfgraph.capture.plan import (
    RAW_SYSCALLS,
    CaptureOptions,
    CapturePlan,
    asked_events,
    default_buffer_kb,
    most_buffer_kb,
)
from kfgraph.capture.probes import plan_probes, read_blacklist, read_loaded, with_paths, with_untraced
from kfgraph.capture.tracefs import BE_ROOT, Tracefs
from kfgraph.errors import CaptureError
from kfgraph.kernel.types import KernelTypes
from kfgraph.model.spelling import shell_line, shell_word
from kfgraph.model.units import format_size, plural

_GLOB = re.compile(r"[*?\[]")
_DRAIN_PERCENT = 10


def make_plan(options: CaptureOptions, *, fs: Tracefs) -> CapturePlan:
    """What the options come to on this kernel, with this machine's modules.

    Raises:
        CaptureError: what this kernel does not have or cannot do; a file that is no module.
    """
    loads = find_loads(options.command, named=options.modules)
    loading = {module.image.name: {f.name for f in module.image.functions} for module in loads.modules}
    loaded = read_loaded()
    check_options(options, fs=fs, loading=loading)
    trace_options, notes = _trace_options(fs, options)
    buffer_kb, most_kb = _buffer_kb(fs, options)
    returned = KernelTypes().returned
    probes = plan_probes(
        fs,
        loads.asked,
        needed=loads.needed,
        globs=options.returns,
        blacklist=read_blacklist(),
        loaded=loaded,
        returned=returned,
        wanted=not options.no_returns,
    )
    if options.syscalls is not False:
        probes = with_paths(fs, probes)
    return CapturePlan(
        options,
        buffer_kb=buffer_kb,
        most_buffer_kb=most_kb,
        drain_percent=_drain_percent(fs),
        trace_options=trace_options,
        probes=probes,
        raw_syscalls=options.syscalls is None and all(map(fs.has_event, RAW_SYSCALLS)),
        modules=tuple(with_untraced(module, fs.functions(), returned) for module in loads.modules),
        notes=(*notes, *loads.unread, *probes.notes),
        warnings=(*loads.unread, *doubts(options, loading=loading, loaded=loaded)),
    )


def check_options(options: CaptureOptions, *, fs: Tracefs, loading: Mapping[str, Collection[str]]) -> None:
    """Does this kernel have what the options name? ``loading`` are the modules that the command will load.

    Raises:
        CaptureError: a function, an event or a clock that it does not have.
    """
    _check_functions(fs, options, loading)
    if options.returns and not (fs.has_option("funcgraph-retval") or fs.has("kprobe_events")):
        raise CaptureError(
            f"this kernel ({os.uname().release}) has no return probes (--returns)",
            hint="it needs CONFIG_KPROBE_EVENTS; see kfgraph doctor",
        )
    for event in asked_events(options):
        if not fs.has_event(event):
            raise CaptureError(f"this kernel has no event {event}", hint=_event_hint(fs, event))
    if options.clock and options.clock not in fs.clocks:
        raise CaptureError(f"this kernel has no trace clock {options.clock}", hint="it has " + ", ".join(fs.clocks))


def _trace_options(fs: Tracefs, options: CaptureOptions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """ftrace's options for the graph, and a sentence for each that this kernel does not offer."""
    found, notes = [], []
    for asked, option, since in ((options.args, "funcgraph-args", "6.15"), (options.retval, "funcgraph-retval", "6.5")):
        name = option.removeprefix("funcgraph-")
        if fs.has_option(option):
            found.append(option if asked is not False else f"no{option}")
        elif asked:
            raise CaptureError(
                f"this kernel ({os.uname().release}) does not record {option} (--{name})",
                hint=f"it takes {since} or later, built with it; see kfgraph doctor",
            )
        elif asked is None:
            notes.append(f"no {option}: this kernel does not offer it")
    if not options.irq:
        found.append("nofuncgraph-irqs")
    return tuple(found), tuple(notes)


def _check_functions(fs: Tracefs, options: CaptureOptions, loading: Mapping[str, Collection[str]]) -> None:
    named = [("--root", n) for n in options.roots] + [("--exclude", n) for n in options.excludes]
    named += [("--only", n) for n in options.only if ":mod:" not in n]
    named += [("--returns", n) for n in options.returns]
    if not named:
        return
    known = fs.functions()
    for option, name in named:
        module = next((module for module, functions in loading.items() if _matches(name, functions)), "")
        if _matches(name, known) or (option == "--returns" and module):
            continue
        if module:
            raise CaptureError(
                f"{option} {name}: the kernel rejects functions of a module that is not loaded yet",
                hint=_instead(option, name, module),
            )
        raise CaptureError(
            f"{option} {name}: no such function can be traced in this kernel",
            hint=_nearest(name, known | {f for functions in loading.values() for f in functions}),
        )


def _instead(option: str, name: str, module: str) -> str:
    """What to type where a function of a module that is not loaded yet was named."""
    if option == "--only":
        return f"--only :mod:{module} records all of the module's functions"
    # The same choice, made when the recording is looked at.
    later = {"--root": "--root", "--exclude": "--collapse"}[option]
    return f"record without it, then: kfgraph show {later} {shell_word(name)}"


def doubts(
    options: CaptureOptions, *, loading: Mapping[str, Collection[str]], loaded: Collection[str]
) -> tuple[str, ...]:
    """A sentence for each ``--only FUNC:mod:MODULE`` of which nothing is known.

    The kernel takes any name there, and the command may load a module in a way that cannot be seen.
    """
    found = []
    for name in options.only:
        function, is_module, module = name.partition(":mod:")
        function, module = function.lstrip("!"), module.lstrip("!")
        if not is_module or module in ("", "*"):
            continue
        modules = fnmatch.filter({*loaded, *loading}, module)
        if not modules:
            near = _close(module.replace("-", "_"), {*loaded, *loading}, n=1)
            meant = f"; did you mean :mod:{near[0]}?" if near else " (--module FILE names one)"
            found.append(f"--only {name}: no module {module} is loaded, nor is the command seen to load it{meant}")
        elif function and set(modules).isdisjoint(loaded) and not any(_matches(function, loading[m]) for m in modules):
            found.append(f"--only {name}: {', '.join(modules)} has no function {function}")
    return tuple(found)


def _matches(name: str, functions: Iterable[str]) -> bool:
    if _GLOB.search(name):
        return any(fnmatch.fnmatchcase(f, name) for f in functions)
    return name in functions


def _close(word: str, names: Iterable[str], *, n: int) -> list[str]:
    import difflib  # for a misspelt name only

    return difflib.get_close_matches(word, list(names), n=n)


def _nearest(name: str, known: Iterable[str]) -> str:
    # difflib needs seconds for all 60,000 names.
    alike = [k for k in known if k[:3] == name[:3] and (abs(len(k) - len(name)) < 4 or k.startswith(name))]
    near = _close(name, alike, n=3)
    return f"it has {', '.join(near)}" if near else "a module's functions are known once it is loaded"


def _event_hint(fs: Tracefs, event: str) -> str:
    names = fs.read("available_events").split() if fs.has("available_events") else []
    system, colon, _ = event.partition(":")
    systems = {name.partition(":")[0] for name in names}
    near = _close(event, {*names, *({} if colon else systems)}, n=3)
    if near:
        return f"it has {', '.join(near)}"
    of_system = sorted(name for name in names if name.startswith(f"{system}:"))
    if colon and of_system:
        return f"{system} has {', '.join(of_system[:6])}" + (", ..." if len(of_system) > 6 else "")
    return f"{fs.root}/available_events lists them all; -e SYSTEM:NAME or -e SYSTEM"


def _buffer_kb(fs: Tracefs, options: CaptureOptions) -> tuple[int, int]:
    # The folders are those of all CPUs that could ever be; memory is taken for those that are there.
    n_cpus = min(len(fs.buffer_kb()) or 1, os.sysconf("SC_NPROCESSORS_ONLN"))
    available = available_memory_kb()
    default, most = (size(available_kb=available, n_cpus=n_cpus) for size in (default_buffer_kb, most_buffer_kb))
    wanted_kb = options.default_buffer_kb if options.buffer_kb is None else options.buffer_kb
    if wanted_kb is not None and wanted_kb > most:
        raise CaptureError(
            f"--buffer: {plural(n_cpus, 'CPU')} x {format_size(wanted_kb * 1024)} is more than the memory can spare "
            f"({format_size(available * 1024)} available)",
            hint=f"--buffer {default // 1024}M",
        )
    return default if wanted_kb is None else wanted_kb, most


def _drain_percent(fs: Tracefs) -> int:
    # The kernel's own 50 leave half a buffer to be written when the command has ended. 0: it is low enough.
    return _DRAIN_PERCENT if fs.has("buffer_percent") and int(fs.read("buffer_percent")) > _DRAIN_PERCENT else 0


def available_memory_kb() -> int:
    """MemAvailable of /proc/meminfo."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1])
    return 0


def sudo_line(arguments: Sequence[str]) -> str:
    """This very command with sudo in front and an absolute path: sudo's own PATH hides a venv."""
    program = shutil.which(arguments[0])
    if program is None or Path(program).name == "__main__.py":
        return shell_line(["sudo", sys.executable, "-m", "kfgraph", *arguments[1:]])
    return shell_line(["sudo", os.path.abspath(program), *arguments[1:]])  # noqa: PTH100 (links stay)


def check_permission(fs: Tracefs) -> None:
    """May this user record?

    Raises:
        CaptureError: no; its hint is BE_ROOT.
    """
    if not fs.writable:
        raise CaptureError("recording needs root (or write access to tracefs)", hint=BE_ROOT)

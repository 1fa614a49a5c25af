"""The kernel's tracing directory: what it offers, how it was found, and putting it back.

Every write that a recording needs goes through :class:`Tracefs`, so that the tests can hand in a
plain directory. Source of the file formats: Documentation/trace/ftrace.rst.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kfgraph.errors import CaptureError, MachineError

BE_ROOT = "run as root"
"""A hint; who knows the command line says it with sudo."""
MOUNT_POINTS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
FILESYSTEMS = Path("/proc/filesystems")
FTRACE_ENABLED = Path("/proc/sys/kernel/ftrace_enabled")
"""Not in tracefs. trace-cmd sets it while it records; killed, it leaves it so."""

# Files with one value. The order is the order of restoring: the tracer is off while the rest changes.
_VALUES = (
    "tracing_thresh",
    "max_graph_depth",
    "tracing_cpumask",
    "saved_cmdlines_size",
    "buffer_subbuf_size_kb",
    "buffer_percent",
)
# Files with a list, one entry a line; opening them with O_TRUNC empties them.
_LISTS = (
    "set_ftrace_filter",
    "set_ftrace_notrace",
    "set_graph_function",
    "set_graph_notrace",
    "set_ftrace_pid",
    "set_ftrace_notrace_pid",
    "set_event_pid",
    "set_event_notrace_pid",
    "set_event",
)


# What would keep calls or events out of a recording, or give its durations another meaning.
_NEUTRAL_VALUES = {"tracing_thresh": "0", "max_graph_depth": "0"}
_NEUTRAL_LISTS = tuple(name for name in _LISTS if name != "set_event")  # the recorder resets that one
_NEUTRAL_OPTIONS = {"funcgraph-irqs": True, "sleep-time": True}


class Tracefs:
    """One mounted tracing directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._functions: frozenset[str] | None = None

    def has(self, name: str) -> bool:
        """Does this kernel have the file (or directory)?"""
        return (self.root / name).exists()

    def read(self, name: str) -> str:
        """The file's text without surrounding white space."""
        # Names of commands and tasks may be any bytes.
        return (self.root / name).read_bytes().decode("utf-8", "surrogateescape").strip()

    def write(self, name: str, text: str) -> None:
        """Replace the file's content (opened with O_TRUNC, which empties a list).

        Raises:
            OSError: the kernel refused; its errno is the reason.
        """
        self._write(name, text, os.O_WRONLY | os.O_TRUNC)

    def append(self, name: str, text: str) -> None:
        """Add one entry to a list file. Raises OSError as ``write`` does."""
        self._write(name, text, os.O_WRONLY | os.O_APPEND)

    def _write(self, name: str, text: str, flags: int) -> None:
        handle = os.open(self.root / name, flags | os.O_CLOEXEC)
        try:
            if text:
                os.write(handle, (text + "\n").encode("utf-8", "surrogateescape"))
        finally:
            os.close(handle)

    # What it offers

    @property
    def writable(self) -> bool:
        """May this process change the tracer's state?"""
        return os.access(self.root / "tracing_on", os.W_OK) and os.access(self.root / "current_tracer", os.W_OK)

    @property
    def tracers(self) -> tuple[str, ...]:
        """The tracers compiled into this kernel."""
        return tuple(self.read("available_tracers").split())

    @property
    def current_tracer(self) -> str:
        """The tracer that is set; ``nop`` when none is."""
        return self.read("current_tracer")

    @property
    def tracing_on(self) -> bool:
        """Are records being written?"""
        return self.read("tracing_on") == "1"

    @property
    def clock(self) -> str:
        """The clock in use (the one in brackets)."""
        return next((c[1:-1] for c in self.read("trace_clock").split() if c.startswith("[")), "")

    @property
    def clocks(self) -> tuple[str, ...]:
        """The clocks of this kernel."""
        return tuple(c.strip("[]") for c in self.read("trace_clock").split())

    def has_option(self, name: str) -> bool:
        """Does this kernel have the trace option (``funcgraph-args``, ``function-fork``...)?"""
        return self.has(f"options/{name}")

    def functions(self) -> frozenset[str]:
        """Names of the functions that can be traced when this is first asked; a module's without its ``[module]``."""
        if self._functions is None:
            lines = self.read("available_filter_functions").splitlines()
            self._functions = frozenset(line.split(None, 1)[0] for line in lines if line)
        return self._functions

    def has_event(self, event: str) -> bool:
        """Is it an event (``system:name``, ``name``) or a whole ``system`` of this kernel? Each may be a glob."""
        system, colon, name = event.partition(":")
        if not system or "/" in event:
            return False
        patterns = [f"{system}/{name or '*'}"] if colon else [system, f"*/{system}"]
        return any(found.is_dir() for pattern in patterns for found in (self.root / "events").glob(pattern))

    def buffer_kb(self) -> dict[str, int]:
        """Ring buffer size of each CPU in KiB, as it will be when a tracer is set."""
        # "7 (expanded: 1408)": allocated when a tracer is first set; the kernel cannot go back to 7.
        _, _, expanded = self.read("buffer_size_kb").partition("expanded:")
        folders = sorted((self.root / "per_cpu").glob("cpu[0-9]*"))
        return {f.name: int(expanded.strip(" )") or (f / "buffer_size_kb").read_text().split()[0]) for f in folders}

    def holders(self) -> list[tuple[int, str]]:
        """(pid, comm) of the processes that have a ring buffer open: those who are recording now."""
        found = []
        prefixes = tuple(f"{root}/" for root in {str(self.root), *map(str, MOUNT_POINTS)})
        for process in Path("/proc").glob("[0-9]*"):
            try:
                opened = [fd.readlink() for fd in (process / "fd").iterdir()]
                if any(str(p).startswith(prefixes) and p.name in ("trace_pipe_raw", "trace_pipe") for p in opened):
                    found.append((int(process.name), (process / "comm").read_text().strip()))
            except OSError:
                continue  # it ended, or is not ours to look into
        return sorted(found)


def find(*, mount_points: Iterable[Path] | None = None) -> Tracefs:
    """The tracing directory of this machine.

    Raises:
        MachineError: not in this kernel, not mounted, or not readable for this user.
    """
    hidden = False
    for root in MOUNT_POINTS if mount_points is None else mount_points:
        try:
            (root / "available_tracers").stat()  # from Python 3.14 on, exists() does not tell these two apart
            return Tracefs(root)
        except PermissionError:
            hidden = True
        except OSError:
            continue
    if hidden:
        raise MachineError("the kernel's tracing directory is not readable for this user", hint=BE_ROOT)
    if "tracefs" not in FILESYSTEMS.read_text().split():
        raise MachineError(
            f"this kernel ({os.uname().release}) was built without tracing",
            hint="kfgraph trace --guest records in a virtual machine; kfgraph doctor lists the requirements",
        )
    raise MachineError("tracefs is not mounted", hint="sudo mount -t tracefs nodev /sys/kernel/tracing")


# The state of the tracer, taken before a recording and put back after it


@dataclass(frozen=True)
class Snapshot:
    """The tracer's settings: file (relative to tracefs) -> what it held. Comparable and JSON-ready.

    ``filters`` are those of events, where one is set.
    """

    values: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]
    options: Mapping[str, bool]
    instances: tuple[str, ...]
    filters: Mapping[str, str]

    def to_dict(self) -> dict[str, object]:
        """For the state file."""
        return {
            "values": dict(self.values),
            "lists": {name: list(entries) for name, entries in self.lists.items()},
            "options": dict(self.options),
            "instances": list(self.instances),
            "filters": dict(self.filters),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Snapshot:
        """Read what ``to_dict`` wrote. Raises KeyError, TypeError or ValueError on anything else."""
        values, lists, options, instances, filters = (
            data[k] for k in ("values", "lists", "options", "instances", "filters")
        )
        if not (
            isinstance(values, dict)
            and isinstance(lists, dict)
            and isinstance(options, dict)
            and isinstance(filters, dict)
        ):
            raise TypeError("a snapshot holds dictionaries")
        if not isinstance(instances, list):
            raise TypeError("a snapshot holds a list of instances")
        return cls(
            {str(k): str(v) for k, v in values.items()},
            {str(k): tuple(map(str, v)) for k, v in lists.items()},
            {str(k): bool(v) for k, v in options.items()},
            tuple(map(str, instances)),
            {str(k): str(v) for k, v in filters.items()},
        )

    def differences(self, other: Snapshot) -> list[str]:
        """Names of the settings that are not the same in ``other``."""
        return sorted(
            {k for k in {*self.values, *other.values} if self.values.get(k) != other.values.get(k)}
            | {k for k in {*self.lists, *other.lists} if self.lists.get(k) != other.lists.get(k)}
            | {f"options/{k}" for k in {*self.options, *other.options} if self.options.get(k) != other.options.get(k)}
            | {f"instances/{k}" for k in set(self.instances) ^ set(other.instances)}
            | {k for k in {*self.filters, *other.filters} if self.filters.get(k) != other.filters.get(k)}
        )


def take_snapshot(tracefs: Tracefs) -> Snapshot:
    """All settings that a recording may change."""
    values = {name: tracefs.read(name) for name in _VALUES if tracefs.has(name)}
    values["tracing_on"] = tracefs.read("tracing_on")
    values["current_tracer"] = tracefs.current_tracer
    values["trace_clock"] = tracefs.clock
    with contextlib.suppress(OSError):
        # An absolute name, so that it is read and written where it is.
        values[str(FTRACE_ENABLED)] = FTRACE_ENABLED.read_text().strip()
    values |= {f"per_cpu/{cpu}/buffer_size_kb": str(kb) for cpu, kb in tracefs.buffer_kb().items()}
    return Snapshot(
        values=values,
        lists={name: tuple(_entries(tracefs.read(name))) for name in _LISTS if tracefs.has(name)},
        options=_read_options(tracefs),
        instances=tuple(sorted(_names(f"{tracefs.root}/instances"))),
        filters=_read_filters(tracefs),
    )


def neutral(tracefs: Tracefs, snapshot: Snapshot, *, events: Sequence[str]) -> dict[str, str]:
    """What to write, file by file, so that nothing that was set before restricts a recording with these events."""
    writes = {
        name: value for name, value in _NEUTRAL_VALUES.items() if snapshot.values.get(name, value) not in (value, "")
    }
    mask, all_cpus = snapshot.values.get("tracing_cpumask"), _all_cpus(tracefs)
    if mask is not None and all_cpus & ~int(mask.replace(",", "") or "0", 16):
        writes["tracing_cpumask"] = _as_mask(all_cpus)
    lists = {name: [e for e in snapshot.lists.get(name, ()) if not _is_trigger(e)] for name in _NEUTRAL_LISTS}
    writes |= {name: "" for name, entries in lists.items() if entries}
    writes |= {name: "0" for name in snapshot.filters if any(_is_of(name, event) for event in events)}
    for name, on in _NEUTRAL_OPTIONS.items():
        if snapshot.options.get(name, on) != on:
            writes[f"options/{name}"] = str(int(on))
    return writes


def stoppers(snapshot: Snapshot) -> list[str]:
    """The functions' triggers that switch tracing off. They stay: to take one away loses its count."""
    return [e for e in snapshot.lists.get("set_ftrace_filter", ()) if _is_trigger(e) and ":traceoff" in e]


def _is_trigger(entry: str) -> bool:
    # FUNC:COMMAND[:count=N], beside filters: FUNC, FUNC [MODULE], FUNC:mod:MODULE.
    return ":" in entry and ":mod:" not in entry


def _is_of(name: str, event: str) -> bool:
    _, system, of_system, _ = name.split("/")
    return any(fnmatch.fnmatchcase(each, event) for each in (system, of_system, f"{system}:{of_system}"))


def _all_cpus(tracefs: Tracefs) -> int:
    return sum(1 << int(name[3:]) for name in _names(f"{tracefs.root}/per_cpu") if name[3:].isdigit())


def _as_mask(cpus: int) -> str:
    # The kernel wants 32 bits between two commas.
    digits = f"{cpus:x}"
    first = len(digits) % 8
    groups = [digits[i : i + 8] for i in range(first, len(digits), 8)]
    return ",".join([digits[:first], *groups] if first else groups)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 (a Path for each of 1,800 events would take longer than all the rest)
    except OSError:  # no folder, or gone with its module
        return []


def _entries(text: str) -> Iterator[str]:
    # An empty list reads as "no pid", "#### all functions enabled ####" or nothing.
    for line in text.splitlines():
        if line.strip() and not line.startswith("#") and line.strip() != "no pid":
            yield line.strip()


def _read_options(tracefs: Tracefs) -> dict[str, bool]:
    options = {}
    for path in sorted((tracefs.root / "options").iterdir()):
        text = path.read_text().strip()
        if text in ("0", "1"):
            options[path.name] = text == "1"
    return options


def _read_filters(tracefs: Tracefs) -> dict[str, str]:
    filters = {}
    for system in _names(f"{tracefs.root}/events"):
        # Of 1,800 events next to none has a filter: what is done for each is little.
        for event in _names(f"{tracefs.root}/events/{system}"):
            name = f"events/{system}/{event}/filter"
            try:
                handle = os.open(f"{tracefs.root}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue  # a file of the system's
            try:
                text = os.read(handle, 65536).strip()
            except OSError:
                continue
            finally:
                os.close(handle)
            if text != b"none":
                filters[name] = text.decode("utf-8", "surrogateescape")
    return filters


def _as_written(entry: str) -> str:
    """A line of a list as the kernel takes it: it shows the count of a function's trigger in other words."""
    return re.sub(r":count=(\d+)$", r":\1", entry.removesuffix(":unlimited"))


def remove_instances(tracefs: Tracefs, names: Iterable[str], snapshot: Snapshot) -> list[str]:
    """Remove the instances so named that are not in the snapshot; the names of what could not be removed."""
    failed = []
    for name in names:
        folder = tracefs.root / "instances" / name
        if name in snapshot.instances or "/" in name or not folder.is_dir():
            continue
        with contextlib.suppress(OSError):
            Tracefs(folder).write("tracing_on", "0")
        try:
            folder.rmdir()
        except OSError:
            failed.append(f"instances/{name}")
    return failed


def restore(tracefs: Tracefs, snapshot: Snapshot) -> list[str]:
    """Put everything back that differs from the snapshot; the names of what could not be.

    Instances are left alone: one that is new may be another program's (:func:`remove_instances`).
    Nothing that is as it was is written: setting the same clock again would empty the buffer.
    """
    now = take_snapshot(tracefs)
    changed = set(snapshot.differences(now))
    if not changed:
        return []
    tracer = snapshot.values["current_tracer"]
    failed = []

    def attempt(name: str, text: str) -> None:
        try:
            tracefs.write(name, text)
        except OSError:
            failed.append(name)

    attempt("tracing_on", "0")
    if now.values["current_tracer"] != "nop" and changed - {"tracing_on"}:
        attempt("current_tracer", "nop")
    for name in sorted(changed & set(snapshot.values) - {"tracing_on", "current_tracer"}):
        attempt(name, snapshot.values[name])
    for name in sorted(changed & set(snapshot.lists)):
        attempt(name, "")
        stayed = set(_entries(tracefs.read(name)))  # a function's trigger does
        for entry in snapshot.lists[name]:
            if entry in stayed:
                continue
            try:
                tracefs.append(name, _as_written(entry))
            except OSError:
                failed.append(f"{name}: {entry}")
    for name in sorted(changed & {*snapshot.filters, *now.filters}):
        attempt(name, snapshot.filters.get(name, "0"))
    for option in sorted(k for k in snapshot.options if f"options/{k}" in changed):
        attempt(f"options/{option}", "1" if snapshot.options[option] else "0")
    if tracefs.current_tracer != tracer:
        attempt("current_tracer", tracer)
    attempt("tracing_on", snapshot.values["tracing_on"])
    return failed


def check_usable(tracefs: Tracefs) -> None:
    """Can function_graph be used here, now, by this process?

    Raises:
        MachineError: the tracer is not in this kernel.
        CaptureError: another program uses it.
    """
    if "function_graph" not in tracefs.tracers:
        raise MachineError(
            f"this kernel ({os.uname().release}) has no function_graph tracer",
            hint="kfgraph doctor lists what is missing; kfgraph trace --guest records in a virtual machine",
        )
    holders = tracefs.holders()
    if holders:
        who = ", ".join(f"{comm} (pid {pid})" for pid, comm in holders)
        raise CaptureError(f"the tracer is in use by {who}", hint="wait for it to end, or stop it")
    if (tracer := tracefs.current_tracer) != "nop":
        said, hint = "set by hand or left by another program", f"echo nop > {tracefs.root}/current_tracer"
        if os.geteuid() != 0:  # and cannot see who has it open
            said, hint = "perhaps of another user's recording", f"if ps -ef shows none: {hint}"
        raise CaptureError(f"the tracer is in use: current_tracer is {tracer}, {said}", hint=hint)

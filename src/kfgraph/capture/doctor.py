"""What this machine can give, check by check, and the exact remedy for what it cannot.

``examine`` only looks: it changes nothing, starts no recording and boots no guest.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from kfgraph.capture import session, tracefs
from kfgraph.capture.plan import default_buffer_kb
from kfgraph.capture.tracefs import Tracefs
from kfgraph.errors import MachineError
from kfgraph.model.health import BOTH, GUEST, LIMITED, MISSING, NATIVE, OK, READER, UNKNOWN, Check, Report
from kfgraph.programs import Bounds, Overrun, run

# On x86 the first symbols, those of per-CPU variables, are at 0 and not hidden.
_N_SYMBOLS = 1000
_SHORT = Bounds(seconds=10, n_bytes=1 << 20)
# PROC_PID_INIT_INO of linux/proc_ns.h
_FIRST_PID_NAMESPACE = "pid:[4026531836]"


def _run(argv: Sequence[str]) -> str:
    """The output of a short command, stderr too; "" if it cannot be run."""
    try:
        return run(argv, _SHORT, together=True).text
    except (OSError, Overrun):
        return ""


@dataclass(frozen=True)
class System:
    """Where the doctor looks. Tests hand in a folder as ``root`` and answers instead of programs."""

    root: Path = Path("/")
    euid: int = -1
    release: str = ""
    which: Callable[[str], str | None] = shutil.which
    run: Callable[[Sequence[str]], str] = _run
    # None: what the room of guests says. It is imported when a guest is asked about.
    kvm_obstacle: Callable[[Path], str] | None = None
    find_vng: Callable[[], Path | None] | None = None
    find_qemu: Callable[[], Path | None] | None = None

    def path(self, absolute: str) -> Path:
        """``absolute`` below ``root``."""
        return self.root / absolute.lstrip("/")

    def text(self, absolute: str) -> str | None:
        """A file's text without surrounding white space; None if it cannot be read."""
        try:
            return self.path(absolute).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def link(self, absolute: str) -> str:
        """Where a symbolic link points; "" if there is none."""
        try:
            return str(self.path(absolute).readlink())
        except OSError:
            return ""


def this_system() -> System:
    """The running machine."""
    return System(euid=os.geteuid(), release=os.uname().release)


def examine(system: System | None = None, *, compiled: Mapping[str, bool] | None = None) -> Report:
    """Run every check.

    Args:
        system: default: the running machine.
        compiled: name of a hot loop of the reader -> is it compiled (the command line knows; without it the
            check is left out).
    """
    system = system or this_system()
    checks = [check_trace_cmd(system), *_native(system), *_guest(system)]
    if compiled is not None:
        checks.append(_reader(compiled))
    return Report(system.release, tuple(checks))


# Native


def _native(system: System) -> Iterator[Check]:
    fs, mounted = _tracefs(system)
    tracer = check_tracer(system, fs)
    yield tracer
    # To mount it would not help a kernel without the tracer.
    yield replace(mounted, remedy="") if fs is None and tracer.state == MISSING else mounted
    yield _privilege(system, fs)
    yield check_lockdown(system)
    yield check_pids(system)
    yield _in_use(fs)
    yield _returns(system, fs)
    yield _extras(system, fs)
    yield check_names(system)
    yield _buffers(system)


def _tracefs(system: System) -> tuple[Tracefs | None, Check]:
    mounts = [system.path(str(point)) for point in tracefs.MOUNT_POINTS]
    try:
        fs = tracefs.find(mount_points=mounts)
    except MachineError as problem:
        known = system.text("/proc/filesystems")
        if known is not None and "tracefs" not in known.split():
            found = f"this kernel ({system.release}) was built without tracing (no tracefs)"
            return None, Check("tracefs", NATIVE, MISSING, found, "boot a distribution's kernel, or use --guest")
        return None, Check("tracefs", NATIVE, MISSING, problem.message, problem.hint)
    return fs, Check("tracefs", NATIVE, OK, f"mounted at /{fs.root.relative_to(system.root)}")


def _privilege(system: System, fs: Tracefs | None) -> Check:
    if system.euid == 0:
        return Check("privilege", NATIVE, OK, "running as root")
    if fs is not None and fs.writable:
        return Check("privilege", NATIVE, OK, f"uid {system.euid} may write to tracefs (its group)")
    return Check(
        "privilege",
        NATIVE,
        MISSING,
        f"uid {system.euid} may not use the tracer",
        f"sudo {own_command()} trace -- COMMAND (a guest needs no root: kfgraph trace --guest -- COMMAND)",
    )


def own_command() -> str:
    """How sudo finds this kfgraph: its path does not hold a venv's programs."""
    beside = Path(sys.executable).with_name("kfgraph")
    return str(beside) if beside.exists() else f"{sys.executable} -m kfgraph"


def _config(system: System) -> Mapping[str, str]:
    from kfgraph.kernel import images

    path = system.path(f"/boot/config-{system.release}")
    try:
        return images.read_config(path)
    except OSError:
        return {}


def check_tracer(system: System, fs: Tracefs | None = None) -> Check:
    """Is function_graph in this kernel? Without tracefs its config is asked, or its symbols."""

    def missing(found: str, remedy: str) -> Check:
        return Check("function_graph", NATIVE, MISSING, found, remedy)

    other_kernel = "boot a kernel with CONFIG_FUNCTION_GRAPH_TRACER, or use --guest"
    try:
        tracers = fs.tracers if fs else None
    except OSError:
        tracers = None
    if tracers is None:
        config = _config(system)
        if not config and _has_symbol(system, b" trace_graph_entry"):
            return Check("function_graph", NATIVE, OK, f"in this kernel ({system.release}), say its symbols")
        if not config and _has_symbol(system, b" vfs_read"):
            return missing(f"not in this kernel ({system.release}), say its symbols", other_kernel)
        if not config:
            return Check("function_graph", NATIVE, UNKNOWN, "cannot be seen without tracefs")
        if config.get("CONFIG_FUNCTION_GRAPH_TRACER") != "y":
            return missing(f"not in this kernel ({system.release}), says its config", other_kernel)
        return Check("function_graph", NATIVE, OK, f"in this kernel ({system.release}), says its config")
    if "function_graph" not in tracers:
        return missing(f"not in this kernel ({system.release})", other_kernel)
    if system.text("/proc/sys/kernel/ftrace_enabled") == "0":
        # Measured on 6.1: tracefs alone records nothing then; trace-cmd sets it to 1 while it records.
        found = "switched off (kernel.ftrace_enabled is 0); trace-cmd switches it on while it records"
        return Check("function_graph", NATIVE, LIMITED, found, "sudo sysctl kernel.ftrace_enabled=1")
    return Check("function_graph", NATIVE, OK, f"in this kernel ({system.release})")


def _has_symbol(system: System, symbol: bytes) -> bool:
    try:
        with system.path("/proc/kallsyms").open("rb") as file:
            return any(line.rstrip().endswith(symbol) for line in file)
    except OSError:
        return False


def check_lockdown(system: System) -> Check:
    """Is tracefs closed?"""
    text = system.text("/sys/kernel/security/lockdown")
    if text is None:
        return Check("lockdown", NATIVE, UNKNOWN, "cannot be seen (no securityfs, or no lockdown in this kernel)")
    mode = re.search(r"\[(\w+)\]", text)
    if mode is None or mode[1] == "none":
        return Check("lockdown", NATIVE, OK, "off")
    if mode[1] == "confidentiality":
        return Check(
            "lockdown",
            NATIVE,
            MISSING,
            "the kernel is locked down (confidentiality): tracefs is closed, for root too",
            "boot without lockdown=confidentiality (or without Secure Boot), or use --guest",
        )
    return Check("lockdown", NATIVE, OK, f"{mode[1]}: tracing is allowed, unsigned modules are not loaded")


def check_pids(system: System) -> Check:
    """Does the tracer mean the same process by a pid? It goes by those of the machine's first namespace."""
    namespace = system.link("/proc/self/ns/pid")
    if namespace in ("", _FIRST_PID_NAMESPACE):
        return Check("pids", NATIVE, OK, "the kernel's own")
    found = "this is a container with pids of its own: the tracer would record other processes"
    return Check("pids", NATIVE, MISSING, found, "run it outside, or with --pid=host, or use --guest")


def check_trace_cmd(system: System) -> Check:
    """Is the recorder there, and new enough?"""
    path = system.which("trace-cmd") or next(
        (str(p) for p in (Path("/usr/sbin/trace-cmd"), Path("/sbin/trace-cmd")) if system.path(str(p)).exists()), None
    )
    if path is None:
        remedy = "sudo apt-get install trace-cmd (dnf, zypper, pacman: the same name)"
        return Check("trace-cmd", BOTH, MISSING, "not installed", remedy)
    version = re.search(r"version (\d+)\.(\d+)[\w.]*", system.run([path, "--version"]))
    if version is None:
        return Check("trace-cmd", BOTH, UNKNOWN, f"{path} does not say its version", "update trace-cmd to 2.9 or newer")
    found = f"{version[0].removeprefix('version ')} ({path})"
    if (int(version[1]), int(version[2])) < (2, 9):
        return Check("trace-cmd", BOTH, LIMITED, f"{found} is old", "update trace-cmd to 2.9 or newer")
    return Check("trace-cmd", BOTH, OK, found)


def _in_use(fs: Tracefs | None) -> Check:
    left = session.find_leftovers()
    if left is not None:
        remedy = "kfgraph doctor --fix (the next kfgraph trace does it too)"
        return Check("tracer in use", NATIVE, LIMITED, left.text, remedy)
    try:
        holders = fs.holders() if fs else []
        tracer = fs.current_tracer if fs else ""
    except OSError:
        tracer = ""
    if fs is None or not tracer:
        return Check("tracer in use", NATIVE, UNKNOWN, "cannot be seen without tracefs")
    if holders:
        who = ", ".join(f"{comm} (pid {pid})" for pid, comm in holders)
        return Check("tracer in use", NATIVE, MISSING, f"in use by {who}", "wait for it to end, or stop it")
    if tracer != "nop":
        remedy = f"echo nop | sudo tee {fs.root}/current_tracer"
        return Check("tracer in use", NATIVE, MISSING, f"current_tracer is {tracer}, set by another program", remedy)
    return Check("tracer in use", NATIVE, OK, "free")


def _returns(system: System, fs: Tracefs | None) -> Check:
    itself = _offered(system, fs, "options/funcgraph-retval", "FUNCTION_GRAPH_RETVAL")
    probes = _offered(system, fs, "kprobe_events", "KPROBE_EVENTS", "KRETPROBES")
    if itself is None or probes is None:
        return Check("return values", NATIVE, UNKNOWN, "cannot be seen without tracefs")
    says = "" if fs else ", says its config"
    if itself:
        return Check("return values", NATIVE, OK, f"recorded by the tracer itself{says}")
    if probes:
        found = f"by return probes, for functions of a loaded module and the loader's{says}"
        return Check("return values", NATIVE, OK, found)
    remedy = "a kernel with CONFIG_FUNCTION_GRAPH_RETVAL (6.5 or newer) or CONFIG_KPROBE_EVENTS"
    return Check("return values", NATIVE, LIMITED, f"not with this kernel ({system.release}){says}", remedy)


def _extras(system: System, fs: Tracefs | None) -> Check:
    """Arguments and return addresses: newer kernels only, nobody has to miss them."""
    offered = {
        "arguments": _offered(system, fs, "options/funcgraph-args", "FUNCTION_TRACE_ARGS"),
        "return addresses": _offered(system, fs, "options/funcgraph-retaddr", "FUNCTION_GRAPH_RETADDR"),
    }
    if None in offered.values():
        return Check("extras", NATIVE, UNKNOWN, "arguments and return addresses: cannot be seen without tracefs")
    have = [name for name, has in offered.items() if has]
    lack = [name for name in offered if name not in have]
    found = "; ".join(f"{word}: {', '.join(names)}" for word, names in (("yes", have), ("no", lack)) if names)
    remedy = "a newer kernel: return addresses from 6.13, arguments from 6.15" if lack else ""
    return Check("extras", NATIVE, LIMITED if lack else OK, found, remedy)


def _offered(system: System, fs: Tracefs | None, file: str, *options: str) -> bool | None:
    """Does this kernel have it, as tracefs says, or else its config? None: neither can be seen."""
    if fs is not None:
        with contextlib.suppress(OSError):
            return fs.has(file)
    config = _config(system)
    return all(config.get(f"CONFIG_{option}") == "y" for option in options) if config else None


def check_names(system: System) -> Check:
    """Will functions have names?"""
    restrict = system.text("/proc/sys/kernel/kptr_restrict")
    try:
        with system.path("/proc/kallsyms").open("rb") as file:
            addresses = [line.split()[0].strip(b"0") for line in islice(file, _N_SYMBOLS) if line.strip()]
    except OSError:
        addresses = []
    if not addresses:
        remedy = "a kernel with CONFIG_KALLSYMS"
        return Check("symbol names", NATIVE, LIMITED, "/proc/kallsyms cannot be read: functions have no names", remedy)
    if not any(addresses):
        if restrict == "2":
            found = "/proc/kallsyms hides all addresses (kptr_restrict is 2)"
            return Check("symbol names", NATIVE, LIMITED, found, "sudo sysctl kernel.kptr_restrict=1")
        found = f"/proc/kallsyms hides its addresses from uid {system.euid}"
        return Check("symbol names", NATIVE, LIMITED, found, "run as root, or sudo sysctl kernel.kptr_restrict=0")
    return Check("symbol names", NATIVE, OK, f"/proc/kallsyms is readable (kptr_restrict is {restrict or 'unknown'})")


def _buffers(system: System) -> Check:
    available = re.search(r"^MemAvailable:\s+(\d+) kB", system.text("/proc/meminfo") or "", re.MULTILINE)
    n_cpus = len(re.findall(r"^cpu\d+ ", system.text("/proc/stat") or "", re.MULTILINE))
    if available is None or not n_cpus:
        return Check("buffer memory", NATIVE, UNKNOWN, "cannot be seen (no /proc)")
    per_cpu = default_buffer_kb(available_kb=int(available[1]), n_cpus=n_cpus)
    found = f"{per_cpu // 1024} MiB for each of {n_cpus} CPUs, of {int(available[1]) // 1024} MiB available"
    if per_cpu * n_cpus > int(available[1]) // 2:
        return Check("buffer memory", NATIVE, LIMITED, found, "free memory, or record less: --buffer 1M, --root FUNC")
    return Check("buffer memory", NATIVE, OK, found)


# In a guest


def _guest(system: System) -> Iterator[Check]:
    from kfgraph.capture.guest import kvm, machine

    vng, qemu = (system.find_vng or machine.find_vng)(), (system.find_qemu or machine.find_qemu)()
    if vng is None:
        yield Check("virtme-ng", GUEST, MISSING, "not installed", machine.VNG_REMEDY)
    else:
        yield Check("virtme-ng", GUEST, OK, str(vng))
    if qemu is None:
        yield Check("QEMU", GUEST, MISSING, "not installed", machine.QEMU_REMEDY)
    else:
        version = re.search(r"version (\d[\w.]*)", system.run([str(qemu), "--version"]))
        yield Check("QEMU", GUEST, OK, f"{version[1] if version else 'unknown version'} ({qemu})")
        obstacle = (system.kvm_obstacle or kvm.obstacle)(qemu)
        if obstacle:
            found = f"{obstacle}; guests are emulated: slower, 10 s and more to boot"
            yield Check("KVM", GUEST, LIMITED, found, kvm.remedy(obstacle))
        else:
            yield Check("KVM", GUEST, OK, "works")
    yield _image(system)


def _image(system: System) -> Check:
    from kfgraph.capture.guest import machine
    from kfgraph.kernel import images

    found = images.list_images(boot=system.path("/boot"), modules=system.path("/lib/modules"))
    if not found:
        return Check("guest kernel", GUEST, MISSING, "no kernel image in /boot", machine.image_remedy())
    usable = [image for image in found if not image.obstacles()]
    if not usable:
        reason, remedy = found[0].obstacles()[0]
        return Check("guest kernel", GUEST, MISSING, f"{found[0].release}: {reason}", remedy)
    others = f" (and {len(usable) - 1} more: --guest-kernel list)" if len(usable) > 1 else ""
    return Check("guest kernel", GUEST, OK, f"{usable[0].release}, with its modules{others}")


# Reading


def _reader(compiled: Mapping[str, bool]) -> Check:
    slow = sorted(name for name, is_compiled in compiled.items() if not is_compiled)
    if not slow:
        return Check("reader", READER, OK, "compiled")
    again = f"{sys.executable} -m pip install --force-reinstall --no-deps FOLDER"
    remedy = f"install a C compiler, then: {again} (the folder of kfgraph's source)"
    return Check("reader", READER, LIMITED, f"not compiled ({', '.join(slow)}): correct, and much slower", remedy)

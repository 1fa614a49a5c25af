"""The doctor on machines made of files: every obstacle gives its one check and its remedy."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from kfgraph.capture import doctor, session
from kfgraph.capture.doctor import System
from kfgraph.kernel.images import KernelImage
from kfgraph.model.health import GUEST, NATIVE, Check, Report
from kfgraph.render.doctor import DoctorView
from kfgraph.render.kernels import KernelsView

RELEASE = "6.1.0-9-amd64"
CONFIG = """\
CONFIG_FUNCTION_GRAPH_TRACER=y
CONFIG_DYNAMIC_FTRACE=y
CONFIG_KPROBE_EVENTS=y
CONFIG_KRETPROBES=y
CONFIG_FUNCTION_TRACE_ARGS=y
CONFIG_FUNCTION_GRAPH_RETADDR=y
CONFIG_9P_FS=y
CONFIG_NET_9P_VIRTIO=m
CONFIG_VIRTIO_PCI=m
CONFIG_OVERLAY_FS=m
"""
TRACEFS = {
    "available_tracers": "function_graph function nop",
    "current_tracer": "nop",
    "tracing_on": "1",
    "kprobe_events": "",
    "options/funcgraph-args": "0",
    "options/funcgraph-retaddr": "0",
}
FILES = {
    "/proc/filesystems": "nodev\tsysfs\nnodev\ttracefs\n",
    # As on x86: the first symbols are at 0 and not hidden.
    "/proc/kallsyms": "0000000000000000 A fixed_percpu_data\n0000000000000000 A __per_cpu_start\n"
    "ffffffff81000000 T _stext\nffffffff81000010 t trace_graph_entry\n",
    "/proc/sys/kernel/kptr_restrict": "1",
    "/proc/sys/kernel/ftrace_enabled": "1",
    "/proc/meminfo": "MemTotal: 8388608 kB\nMemAvailable:  4194304 kB\n",
    "/proc/stat": "cpu  1 2\ncpu0 1 2\ncpu1 1 2\nintr 5\n",
    "/sys/kernel/security/lockdown": "[none] integrity confidentiality",
    f"/boot/vmlinuz-{RELEASE}": "not a real image",
    f"/boot/config-{RELEASE}": CONFIG,
    f"/lib/modules/{RELEASE}/modules.dep": "",
}


def answer(argv: Sequence[str]) -> str:
    return {"trace-cmd": "\ntrace-cmd version 3.1.6 ()\n", "qemu": "QEMU emulator version 7.2.22 (Debian)\n"}[
        Path(argv[0]).name
    ]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """A machine on which everything works."""
    for name, text in {**FILES, **{f"/sys/kernel/tracing/{k}": v for k, v in TRACEFS.items()}}.items():
        write(tmp_path, name, text)
    monkeypatch.setattr(session, "find_leftovers", lambda: None)
    return System(
        root=tmp_path,
        euid=0,
        release=RELEASE,
        which=lambda name: f"/usr/bin/{name}",
        run=answer,
        kvm_obstacle=lambda _: "",
        find_vng=lambda: Path("/usr/bin/vng"),
        find_qemu=lambda: Path("/usr/bin/qemu"),
    )


@pytest.mark.parametrize(("inode", "state"), [(4026531836, "ok"), (4026532001, "missing")])
def test_a_container_has_pids_of_its_own(machine: System, inode: int, state: str) -> None:
    assert check(doctor.examine(machine), "pids").state == "ok"  # a kernel without such namespaces
    link = machine.root / "proc/self/ns/pid"
    link.parent.mkdir(parents=True)
    link.symlink_to(f"pid:[{inode}]")
    report = doctor.examine(machine)
    assert (check(report, "pids").state, report.works(NATIVE)) == (state, state == "ok")


def write(root: Path, name: str, text: str) -> None:
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def check(report: Report, name: str) -> Check:
    (found,) = [c for c in report.checks if c.name == name]
    return found


def test_a_machine_on_which_all_works(machine: System) -> None:
    report = doctor.examine(machine, compiled={"kfgraph.parse.stacks": True})
    assert {c.state for c in report.checks} == {"ok"}
    assert report.works(NATIVE) and report.works(GUEST)
    assert [c.remedy for c in report.checks if c.remedy] == []
    assert check(report, "trace-cmd").found == "3.1.6 (/usr/bin/trace-cmd)"
    assert check(report, "QEMU").found == "7.2.22 (/usr/bin/qemu)"
    assert check(report, "buffer memory").found == "64 MiB for each of 2 CPUs, of 4096 MiB available"
    assert check(report, "tracefs").found == "mounted at /sys/kernel/tracing"
    assert check(report, "guest kernel").found == f"{RELEASE}, with its modules"


# (files to change: None removes) -> (check, state, in what was found, in the remedy, native works, guest works)
OBSTACLES = [
    (
        {"/sys/kernel/tracing/available_tracers": "function nop"},
        ("function_graph", "missing", RELEASE, "--guest"),
        (False, True),
    ),
    (
        {"/proc/sys/kernel/ftrace_enabled": "0"},
        ("function_graph", "limited", "trace-cmd switches it on", "sudo sysctl kernel.ftrace_enabled=1"),
        (True, True),
    ),
    (
        {"/sys/kernel/tracing/available_tracers": None},
        ("tracefs", "missing", "not mounted", "sudo mount -t tracefs nodev /sys/kernel/tracing"),
        (False, True),
    ),
    (
        {"/sys/kernel/tracing/available_tracers": None, "/proc/filesystems": "nodev\tsysfs\n"},
        ("tracefs", "missing", "without tracing", "--guest"),
        (False, True),
    ),
    (
        {"/sys/kernel/security/lockdown": "none integrity [confidentiality]"},
        ("lockdown", "missing", "confidentiality", "--guest"),
        (False, True),
    ),
    (
        {"/sys/kernel/security/lockdown": "none [integrity] confidentiality"},
        ("lockdown", "ok", "unsigned modules", ""),
        (True, True),
    ),
    ({"/sys/kernel/security/lockdown": None}, ("lockdown", "unknown", "cannot be seen", ""), (True, True)),
    (
        {"/sys/kernel/tracing/current_tracer": "function"},
        ("tracer in use", "missing", "function", "echo nop | sudo tee"),
        (False, True),
    ),
    (
        {"/sys/kernel/tracing/kprobe_events": None},
        ("return values", "limited", RELEASE, "CONFIG_FUNCTION_GRAPH_RETVAL"),
        (True, True),
    ),
    (
        {"/sys/kernel/tracing/options/funcgraph-retval": "0"},
        ("return values", "ok", "by the tracer itself", ""),
        (True, True),
    ),
    (
        {"/sys/kernel/tracing/options/funcgraph-args": None},
        ("extras", "limited", "yes: return addresses; no: arguments", "6.15"),
        (True, True),
    ),
    (
        {"/proc/kallsyms": "0000000000000000 T _stext\n", "/proc/sys/kernel/kptr_restrict": "2"},
        ("symbol names", "limited", "kptr_restrict is 2", "sudo sysctl kernel.kptr_restrict=1"),
        (True, True),
    ),
    (
        {"/proc/kallsyms": "0000000000000000 T _stext\n" * 9},
        ("symbol names", "limited", "hides its addresses", "run as root"),
        (True, True),
    ),
    ({"/proc/kallsyms": None}, ("symbol names", "limited", "cannot be read", "CONFIG_KALLSYMS"), (True, True)),
    (
        {"/proc/meminfo": "MemAvailable:  8192 kB\n"},
        ("buffer memory", "limited", "4 MiB for each of 2 CPUs, of 8 MiB", "--buffer"),
        (True, True),
    ),
    (
        {f"/boot/vmlinuz-{RELEASE}": None},
        ("guest kernel", "missing", "no kernel image", "apt-get install linux-image-"),
        (True, False),
    ),
    (
        {f"/lib/modules/{RELEASE}/modules.dep": None},
        ("guest kernel", "missing", "modules", "install"),
        (True, False),
    ),
    (
        {f"/boot/config-{RELEASE}": CONFIG.replace("CONFIG_9P_FS=y\n", "")},
        ("guest kernel", "missing", "9p", "generic kernel"),
        (True, False),
    ),
    (
        {f"/boot/config-{RELEASE}": CONFIG.replace("CONFIG_FUNCTION_GRAPH_TRACER=y\n", "")},
        ("guest kernel", "missing", "function_graph", "--guest-kernel list"),
        (True, False),
    ),
]


@pytest.mark.parametrize(("files", "expected", "works"), OBSTACLES, ids=lambda v: v[0] if isinstance(v, tuple) else "")
def test_an_obstacle_is_named_with_its_remedy(
    machine: System, files: dict[str, str | None], expected: tuple[str, str, str, str], works: tuple[bool, bool]
) -> None:
    for name, text in files.items():
        if text is None:
            machine.path(name).unlink()
        else:
            write(machine.root, name, text)
    report = doctor.examine(machine)
    name, state, found, remedy = expected
    got = check(report, name)
    assert got.state == state
    assert found in got.found
    assert remedy in got.remedy and bool(remedy) == bool(got.remedy)
    assert (report.works(NATIVE), report.works(GUEST)) == works
    # Nothing else is wrong with this machine, so nothing else may be said to be.
    others = [c for c in report.checks if c.name != name and c.state in ("missing", "limited")]
    assert others == []


@pytest.mark.parametrize(
    ("change", "name", "state", "remedy", "works"),
    [
        ({"which": lambda name: None}, "trace-cmd", "missing", "apt-get install trace-cmd", (False, False)),
        ({"run": lambda argv: "trace-cmd version 2.6.1"}, "trace-cmd", "limited", "2.9", (True, True)),
        ({"run": lambda argv: ""}, "trace-cmd", "unknown", "2.9", (True, True)),
        ({"find_vng": lambda: None}, "virtme-ng", "missing", "-m pip install 'kfgraph[guest]'", (True, False)),
        ({"find_qemu": lambda: None}, "QEMU", "missing", "apt-get install qemu-system-", (True, False)),
        ({"kvm_obstacle": lambda _: "no /dev/kvm"}, "KVM", "limited", "modprobe kvm_intel", (True, True)),
        (
            {"kvm_obstacle": lambda _: "/dev/kvm is not accessible to this user"},
            "KVM",
            "limited",
            "sudo adduser $USER kvm",
            (True, True),
        ),
    ],
)
def test_a_program_that_is_missing(
    machine: System, change: dict[str, object], name: str, state: str, remedy: str, works: tuple[bool, bool]
) -> None:
    report = doctor.examine(replace(machine, **change))  # type: ignore[arg-type]
    assert check(report, name).state == state
    assert remedy in check(report, name).remedy
    assert (report.works(NATIVE), report.works(GUEST)) == works


def test_who_is_not_root_needs_a_tracefs_that_can_be_written(machine: System) -> None:
    # The files of this fake tracefs are writable, as they are for the tracefs group.
    assert check(doctor.examine(replace(machine, euid=1000)), "privilege").state == "ok"
    machine.path("/sys/kernel/tracing/tracing_on").unlink()
    report = doctor.examine(replace(machine, euid=1000))
    assert check(report, "privilege").state == "missing"
    assert re.match(r"sudo /.* trace -- COMMAND", check(report, "privilege").remedy)
    assert (report.works(NATIVE), report.works(GUEST)) == (False, True)


def test_what_a_killed_run_left_is_no_obstacle(machine: System, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = session.Snapshot({}, {}, {}, (), {})
    root = machine.root
    left = session.Leftovers(session.Process(4, 4), ("insmod", "foo.ko"), None, root, (), snapshot, root)
    monkeypatch.setattr(session, "find_leftovers", lambda: left)
    write(machine.root, "/sys/kernel/tracing/current_tracer", "function_graph")
    report = doctor.examine(machine)
    assert report.works(NATIVE)
    assert "kfgraph doctor --fix" in check(report, "tracer in use").remedy
    assert "insmod foo.ko" in check(report, "tracer in use").found


@pytest.mark.parametrize(
    ("lines", "returns", "extras"),
    [
        ("CONFIG_KPROBE_EVENTS=y\nCONFIG_KRETPROBES=y\n", ("ok", "by return probes"), ("limited", "no: arguments")),
        ("CONFIG_FUNCTION_GRAPH_RETVAL=y\n", ("ok", "by the tracer itself, says its config"), ("limited", "no: arg")),
        ("CONFIG_FUNCTION_TRACE_ARGS=y\nCONFIG_FUNCTION_GRAPH_RETADDR=y\n", ("limited", "says its config"), ("ok", "")),
        (None, ("unknown", "without tracefs"), ("unknown", "without tracefs")),
    ],
)
def test_without_tracefs_the_config_tells_or_nothing_does(
    machine: System, lines: str | None, returns: tuple[str, str], extras: tuple[str, str]
) -> None:
    machine.path("/sys/kernel/tracing/available_tracers").unlink()
    config = machine.path(f"/boot/config-{RELEASE}")
    if lines is None:
        config.unlink()
    else:
        config.write_text(f"CONFIG_FUNCTION_GRAPH_TRACER=y\n{lines}")
    report = doctor.examine(machine)
    assert check(report, "tracer in use").state == "unknown"
    for name, (state, found) in (("return values", returns), ("extras", extras)):
        assert check(report, name).state == state
        assert found in check(report, name).found


def test_without_tracefs_the_symbols_tell_of_the_tracer(machine: System) -> None:
    machine.path("/sys/kernel/tracing/available_tracers").unlink()
    machine.path(f"/boot/config-{RELEASE}").unlink()
    assert check(doctor.examine(machine), "function_graph").state == "ok"
    write(machine.root, "/proc/kallsyms", "ffffffff81000000 T vfs_read\n")
    assert check(doctor.examine(machine), "function_graph").state == "missing"
    write(machine.root, "/proc/kallsyms", "ffffffff81000000 T something_else\n")
    assert check(doctor.examine(machine), "function_graph").state == "unknown"


def test_the_reader_says_which_loops_run_uncompiled(machine: System) -> None:
    got = check(doctor.examine(machine, compiled={"a.fast": True, "a.slow": False}), "reader")
    assert (got.state, got.found) == ("limited", "not compiled (a.slow): correct, and much slower")


@pytest.mark.parametrize("width", [20, 40, 60, 80, 160])
def test_the_view_breaks_no_word(machine: System, width: int) -> None:
    machine.path(f"/boot/config-{RELEASE}").unlink()
    machine.path(f"/lib/modules/{RELEASE}/modules.dep").unlink()
    report = doctor.examine(replace(machine, find_vng=lambda: None), compiled={"x": False})
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(DoctorView(report), soft_wrap=True)
    words = set(out.getvalue().split())
    told = [word for c in report.checks for text in (c.state, c.name, c.found, c.remedy) for word in text.split()]
    assert [word for word in told if word not in words] == []
    longest = max(map(len, told))
    too_long = [line for line in out.getvalue().splitlines() if len(line) > max(width, longest + 4 + len("missing  "))]
    # A command to type is on one line, whatever its length.
    commands = [r"sudo apt-get install \S+", r"kfgraph trace .*COMMAND", r"/\S+ -m pip install .*"]
    assert [line for line in too_long if not re.fullmatch(rf"\s*(-> )?({'|'.join(commands)})", line)] == []
    assert re.search(r"/\S+ -m pip install --force-reinstall --no-deps FOLDER\s", out.getvalue())


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_list_of_kernels_breaks_no_word(width: int) -> None:
    release = "6.12.95+deb12-amd64"
    path = Path(f"/boot/vmlinuz-{release}")
    good = KernelImage(release, path, readable=True, modules=Path("/m"), config={"CONFIG_KPROBE_EVENTS": "y"})
    bad = replace(good, readable=False, path=Path("/boot/vmlinuz-6.1"), modules=None)
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(KernelsView([good, bad]), soft_wrap=True)
    words = out.getvalue().replace(",", " ").split()
    assert str(path) in words and "/boot/vmlinuz-6.1" in words
    assert "retval" in words and "as a guest" in out.getvalue()
    obstacle = [word for pair in bad.obstacles() for text in pair for word in text.split()]
    shown = set(out.getvalue().replace("(", " ").replace(")", " ").replace(";", " ").split())
    assert [word for word in obstacle if word.strip("()") not in shown] == []


@pytest.mark.parametrize("width", [60, 100])
def test_the_view_shows_every_check_and_remedy_within_the_width(machine: System, width: int) -> None:
    machine.path(f"/boot/vmlinuz-{RELEASE}").unlink()
    report = doctor.examine(replace(machine, find_vng=lambda: None), compiled={"x": True})
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(DoctorView(report))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert [c.name for c in report.checks if c.name not in text] == []
    assert "-> sudo apt-get install linux-image-" in text
    assert "Tracing this kernel works: kfgraph trace -- COMMAND" in text
    assert "Tracing in a guest does not work: virtme-ng: not installed" in text


def test_json_has_the_verdicts_and_every_check(machine: System) -> None:
    report = doctor.examine(machine)
    data = json.loads(json.dumps(report.to_dict()))
    assert (data["kernel"], data["native"], data["guest"]) == (RELEASE, True, True)
    assert [c["name"] for c in data["checks"]] == [c.name for c in report.checks]
    assert set(data["checks"][0]) == {"name", "area", "state", "found", "remedy"}

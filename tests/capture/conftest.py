"""A tracing directory of plain files, a trace-cmd that only pretends, and kfgraph run on both."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kfgraph.capture import tracefs
from kfgraph.capture.tracefs import Snapshot, Tracefs

HERE = Path(__file__).resolve().parent

# kfgraph with another tracing directory and another folder for its notes.
DRIVER = """
import os
import sys
from pathlib import Path
from kfgraph.cli import app, stdio
stdio.open_standard_streams()  # first of all, as in kfgraph itself: libffi keeps the first file that it can get
from kfgraph.capture import doctor, session, tracefs
root, state = sys.argv[1:3]
there = Path(root).with_name("machine")
doctor.this_system = lambda: doctor.System(root=there, euid=os.geteuid(), release="6.1.0-lab")
sys.argv = ["kfgraph", *sys.argv[3:]]
tracefs.MOUNT_POINTS = (Path(root),)
tracefs.FILESYSTEMS = Path(root).with_name("filesystems")
session.state_folder = lambda: Path(state)
app.entry_point()
"""

FUNCTIONS = ("vfs_open", "vfs_read", "do_sys_openat2", "load_module", "do_init_module", "kmalloc_trace")
OPTIONS = ("function-fork", "event-fork", "funcgraph-irqs", "overwrite")


def make_tracefs(root: Path, *, n_cpus: int = 2, options: Sequence[str] = OPTIONS) -> Tracefs:
    """A tracing directory as a 6.1 kernel shows it at rest."""
    files = {
        "available_tracers": "blk function_graph function nop",
        "current_tracer": "nop",
        "tracing_on": "1",
        "trace_clock": "[local] global mono x86-tsc",
        "tracing_thresh": "0",
        "max_graph_depth": "0",
        "tracing_cpumask": "3",
        "saved_cmdlines_size": "128",
        "buffer_size_kb": "7 (expanded: 1408)",
        "available_filter_functions": "\n".join([*FUNCTIONS, "ext4_open [ext4]"]),
        "available_events": "\n".join(
            f"sched:{name}" for name in ("sched_switch", "sched_waking", "sched_process_exec", "sched_process_fork")
        ),
        "set_ftrace_filter": "#### all functions enabled ####",
        "set_ftrace_notrace": "#### no functions disabled ####",
        "set_graph_function": "#### all functions enabled ####",
        "set_graph_notrace": "#### no functions disabled ####",
        "set_ftrace_pid": "no pid",
        "set_event_pid": "",
        "set_event": "",
        "kprobe_events": "",
        "events/sched/sched_switch/enable": "0",
        "events/sched/sched_waking/enable": "0",
        "events/sched/sched_process_exec/enable": "0",
        "events/syscalls/enable": "0",
        **{f"options/{name}": "0" for name in options},
        "options/funcgraph-irqs": "1",
    }
    for cpu in range(n_cpus):
        files[f"per_cpu/cpu{cpu}/buffer_size_kb"] = "7"
        files[f"per_cpu/cpu{cpu}/stats"] = (
            "entries: 10\noverrun: 0\ncommit overrun: 0\ndropped events: 0\nread events: 5"
        )
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    (root / "instances").mkdir()
    return Tracefs(root)


class Lab:
    """One fake machine; ``run`` is ``kfgraph ARGS`` on it."""

    def __init__(self, folder: Path, trace: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.state = folder / "state"
        self.log = folder / "log"
        self.fs = make_tracefs(folder / "tracing")
        (folder / "filesystems").write_text("nodev\tproc\nnodev\ttracefs\n\text4\n")
        self.machine_file("/proc/kallsyms", "ffffffff81000000 T _stext\n")
        self.machine_file("/proc/sys/kernel/kptr_restrict", "1\n")
        self.machine_file("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
        self.trace = trace
        self.env: dict[str, str] = {}
        bin_folder = folder / "bin"
        self.work.mkdir()
        bin_folder.mkdir()
        fake = bin_folder / "trace-cmd"
        fake.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S {shlex.quote(str(HERE))}/fake_trace_cmd.py "$@"\n'
        )
        fake.chmod(0o755)
        self.path = f"{bin_folder}:/usr/bin:/bin"

    def machine_file(self, name: str, text: str) -> None:
        """A file of the machine that the doctor looks at."""
        path = self.folder / "machine" / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SUDO_")}
        kept |= {"FAKE_TRACEFS": str(self.fs.root), "FAKE_TRACE": str(self.trace), "FAKE_LOG": str(self.log)}
        return kept | {"PATH": self.path} | self.env

    def start(self, *args: str, **keywords: object) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", DRIVER, str(self.fs.root), str(self.state), *args]
        settings: dict[str, object] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        return subprocess.Popen(argv, cwd=self.work, env=self.environment(), text=True, **(settings | keywords))  # type: ignore[call-overload, no-any-return]

    def run(self, *args: str, **keywords: object) -> subprocess.CompletedProcess[str]:
        given = keywords.pop("input", None)
        if given is not None:
            keywords["stdin"] = subprocess.PIPE
        process = self.start(*args, **keywords)
        out, err = process.communicate(given if isinstance(given, str) else None, timeout=60)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def snapshot(self) -> Snapshot:
        return tracefs.take_snapshot(self.fs)

    def recorder_lines(self) -> list[list[str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def until(self, true: Callable[[], bool]) -> None:
        limit = time.monotonic() + 60
        while not true():
            assert time.monotonic() < limit, "it did not come to that in a minute"
            time.sleep(0.01)

    def until_recording(self) -> None:
        self.until(lambda: self.fs.tracing_on and self.fs.current_tracer == "function_graph")


@pytest.fixture
def lab(tmp_path: Path, repository: Path) -> Lab:
    return Lab(tmp_path, repository / "examples" / "cat-enoent.dat")


def end(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    """For the tests' own clean-up."""
    if process.poll() is None:
        process.send_signal(number)
        process.wait(20)

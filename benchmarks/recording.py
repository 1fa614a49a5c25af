"""``kfgraph trace true`` on a made-up tracing directory, with a recorder that does nothing: what kfgraph takes."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from timing import REPOSITORY, Work

sys.path.insert(0, str(REPOSITORY / "tests"))

from capture.conftest import DRIVER, make_tracefs

TRACE = REPOSITORY / "examples" / "cat-enoent.dat"
RECORDER = """#!/bin/sh
# Stands in for trace-cmd: sets the tracer as it does, waits for SIGINT, leaves a trace.
[ "$1" = --version ] && { echo; echo "trace-cmd version 3.1.6 ()"; exit 0; }
cd ROOT || exit 1
while [ $# -gt 0 ]; do
    case $1 in -o) out=$2 ;; -b) size=$2 ;; -P) pids=$2 ;; esac
    shift
done
stop=
trap 'stop=1' INT
echo 0 >tracing_on
echo function_graph >current_tracer
echo 1 >options/function-fork
for cpu in per_cpu/*; do echo "$size" >"$cpu/buffer_size_kb"; done
echo "$pids" >set_ftrace_pid
echo 1 >tracing_on
echo events >"${out%/*}/trace.dat.cpu0"
while [ -z "$stop" ]; do sleep 0.005; done
cp TRACE "$out"
rm -f "${out%/*}/trace.dat.cpu0"
echo nop >current_tracer
echo >set_ftrace_pid
"""


def recording(folder: Path, name: str, bound: float, beside: str) -> Work:
    """``kfgraph trace -q true`` in ``folder``."""
    root = make_tracefs(folder / "tracing").root
    machine, programs = folder / "machine", folder / "bin"
    files = {
        "proc/kallsyms": "ffffffff81000000 T _stext\n",
        "proc/sys/kernel/kptr_restrict": "1\n",
        "sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
    }
    for path, text in files.items():
        (machine / path).parent.mkdir(parents=True, exist_ok=True)
        (machine / path).write_text(text)
    (folder / "filesystems").write_text("nodev\tproc\nnodev\ttracefs\n\text4\n")
    programs.mkdir()
    recorder = programs / "trace-cmd"
    recorder.write_text(RECORDER.replace("ROOT", shlex.quote(str(root))).replace("TRACE", shlex.quote(str(TRACE))))
    recorder.chmod(0o755)
    argv = [sys.executable, "-c", DRIVER, str(root), str(folder / "state"), "trace", "-q"]
    argv += ["-o", str(folder / "out.dat"), "true"]
    return Work(name, argv, bound, beside, {"PATH": f"{programs}:{os.environ['PATH']}"})

"""What runs inside the guest: one command, its output into files, its status, signals from outside.

Started as a plain script by an interpreter of the shared root, so it imports the standard library
only: under emulation every import costs. The folder given as its argument is shared with the host:

    job.json    in   argv, cwd, env; prepares: the command itself says when it is "running"
    signal.N    in   a signal number for the command, N = 1, 2, ...
    alive       in   changes while the host still waits
    stage       out  "running", then "done"; before it "preparing" where the command prepares
    stdout, stderr   the command's output
    status      out  its exit status: 0..255, 128+n for a signal
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

# How soon a signal is handed on. Not shorter: each look is work for the kernel that is being traced.
POLL_S = 0.5
# The host writes `alive` every second; after this long without a change nobody waits any more.
ABANDONED_S = 60.0


def put(path: Path, text: str) -> None:
    """Write a file so that the host sees it whole or not at all."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text)
    beside.rename(path)


def spare(pid: int, score: int) -> None:
    """Set how soon the kernel kills the process when memory runs out: -1000 never, 0 as any other."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(score))


def start(job: dict[str, object], out: int, err: int) -> subprocess.Popen[bytes] | int:
    """Start the command in a session of its own; its status if it cannot be started (as env: 126, 127)."""
    try:
        child = subprocess.Popen(
            list(map(str, job["argv"])),  # type: ignore[call-overload]
            cwd=str(job["cwd"]),
            env=dict(job["env"]),  # type: ignore[call-overload]
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        spare(child.pid, 0)
        return child
    except OSError as problem:
        os.write(err, f"kfgraph: {problem.filename}: {problem.strerror}\n".encode())
        return 127 if isinstance(problem, FileNotFoundError) else 126


def wait(child: subprocess.Popen[bytes], folder: Path) -> int:
    """Wait for the command, handing on signals; kill it when the host has gone."""
    n_signals = 0
    seen, since = "", time.monotonic()
    ended = select.poll()
    ended.register(os.pidfd_open(child.pid), select.POLLIN)
    while not ended.poll(POLL_S * 1000):
        request = folder / f"signal.{n_signals + 1}"
        if request.exists():
            n_signals += 1
            os.kill(child.pid, int(request.read_text()))
        alive = seen
        # Read while the host writes it, 9p gives ENODATA (seen with QEMU 11).
        with contextlib.suppress(OSError):
            alive = (folder / "alive").read_text()
        if alive != seen:
            seen, since = alive, time.monotonic()
        elif time.monotonic() - since > ABANDONED_S:
            os.killpg(child.pid, signal.SIGKILL)
    status = child.wait()
    return status if status >= 0 else 128 - status


def main(folder: Path) -> None:
    """Run the job in ``folder``."""
    job = json.loads((folder / "job.json").read_text())
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    out, err = (os.open(folder / name, flags, 0o600) for name in ("stdout", "stderr"))
    put(folder / "stage", "preparing" if job.get("prepares") else "running")
    # When memory runs out, the command goes and not the one who tells of it.
    spare(os.getpid(), -1000)
    child = start(job, out, err)
    status = child if isinstance(child, int) else wait(child, folder)
    put(folder / "status", str(status))
    put(folder / "stage", "done")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""``kfgraph trace --guest`` for real: what it brings back, and what it says when the guest dies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import kfgraph
from kfgraph.kernel.images import KernelImage

# Eats all memory until the kernel kills it, then hangs.
HOG = "python3 -c 'x = []\nwhile True: x.append(b\"x\" * (1 << 24))'; echo after the hog; while :; do sleep 1; done"


def trace(tmp_path: Path, image: KernelImage, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "kfgraph", "trace", "--guest-kernel", str(image.path), *arguments]
    environment = {**os.environ, "COLUMNS": "160"}
    return subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500, check=False)


def rest(tmp_path: Path) -> list[str]:
    """What lies in the folder, hidden files too."""
    return sorted(p.name for p in tmp_path.iterdir())


@pytest.mark.timeout(600)
def test_an_insmod_that_fails(guest_image: KernelImage, foo_ko: Path, tmp_path: Path) -> None:
    script = f"echo to stdout; echo to stderr >&2; exec insmod {foo_ko} fail=19"
    done = trace(tmp_path, guest_image, "-o", "out.dat", "--", "sh", "-c", script)
    assert done.returncode == 1, done.stderr
    assert done.stdout == "to stdout\n"
    assert "to stderr\n" in done.stderr
    assert "could not insert module" in done.stderr and "No such device" in done.stderr
    assert "out.dat: " in done.stderr and "nothing lost" in done.stderr
    assert rest(tmp_path) == ["out.dat", "out.dat.kfgraph.json"]
    read = kfgraph.load(tmp_path / "out.dat")
    read.check()
    assert read.meta.kernel == guest_image.release or guest_image.release in str(read.companion)
    names = read.symbols.names
    roots = {names[code] for code in set(read.calls.func.tolist())}
    # The loader ran as far as the module's init and the way back.
    assert {"load_module", "do_init_module", "free_module"} <= roots
    assert read.companion is not None
    assert read.companion.exit_status == 1
    assert read.companion.kernel == guest_image.release
    assert read.companion.notes[0].startswith(f"recorded in a guest: {guest_image.release}, ")


@pytest.mark.timeout(600)
def test_a_panic_is_shown_and_is_a_failure_of_the_recording(guest_image: KernelImage, tmp_path: Path) -> None:
    # dash reads byte by byte: enough events that the recorder has some of them out.
    script = "for i in 1 2 3 4 5 6 7 8; do read x < /etc/passwd; done; echo before; echo c > /proc/sysrq-trigger"
    done = trace(tmp_path, guest_image, "-o", "out.dat", "--", "sh", "-c", script)
    assert done.returncode == 125, done.stderr
    assert done.stdout == "before\n"
    assert "  guest| " in done.stderr and "Kernel panic - not syncing: sysrq triggered crash" in done.stderr
    assert "sysrq_handle_crash" in done.stderr  # the stack
    assert f"the guest's kernel ({guest_image.release}) panicked: sysrq triggered crash" in done.stderr
    # What the recorder had read by then is saved, and said to be partial.
    assert "hint: what it had recorded until shortly before is in out.dat" in done.stderr
    assert rest(tmp_path) == ["out.dat", "out.dat.kfgraph.json"]
    read = kfgraph.load(tmp_path / "out.dat")
    read.check()
    assert read.companion is not None and "panicked" in read.companion.partial
    called = Counter(read.symbols.names[code] for code in read.calls.func.tolist())
    assert len(read.calls) > 2_000
    assert called["_raw_spin_lock"] > 100
    # The second guest has the first one's addresses; without that next to none would have a name. Those of modules lie
    # elsewhere in each.
    nameless = [name for name in called if name.startswith("0x")]
    assert all(name.startswith("0xffffffffc") for name in nameless), nameless
    assert sum(called[name] for name in nameless) < len(read.calls) // 2


@pytest.mark.timeout(600)
def test_out_of_memory_and_then_a_hang(guest_image: KernelImage, tmp_path: Path) -> None:
    # One function only: a million page faults are not what is tested here.
    options = ("-o", "out.dat", "--only", "do_sys_openat2", "--guest-timeout", "150")
    done = trace(tmp_path, guest_image, *options, "--", "sh", "-c", HOG)
    assert done.returncode == 125, done.stderr
    assert done.stdout == "after the hog\n"
    assert "Out of memory: Killed process" in done.stderr
    assert "had not finished after 15" in done.stderr
    assert "hint: --guest-timeout SECONDS gives it longer" in done.stderr
    assert rest(tmp_path) == []

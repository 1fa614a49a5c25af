"""Does KVM run a guest here? The device being there does not say so, least of all on nested machines."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from pathlib import Path

from kfgraph.programs import Bounds, Overrun, run

# mov dx, 0xf4; mov al, 0x10; out dx, al: the device at that port ends QEMU with 2 * 0x10 + 1. hlt, if it does not.
_BOOT_SECTOR = bytes.fromhex("baf400 b010 ee f4").ljust(510, b"\0") + b"\x55\xaa"
_BOOT_SECTOR_STATUS = 0x21
_EXIT_DEVICE = "isa-debug-exit,iobase=0xf4,iosize=4"
_LIMIT_S = 15.0
_SLOW_S = 1.0


def remedy(obstacle: str) -> str:
    """What helps against that obstacle; "" if nothing on this machine does."""
    if "not accessible" in obstacle:
        return "sudo adduser $USER kvm, and log in again"
    if obstacle.startswith("no "):
        return "sudo modprobe kvm_intel (or kvm_amd), or switch virtualization on in the firmware"
    return ""


def obstacle(qemu: Path, *, device: Path = Path("/dev/kvm")) -> str:
    """Why KVM cannot run a guest here; "" if it can.

    A machine is started that ends with its first instructions, which takes about 0.2 s. Where that takes long, as on
    nested machines without help from the processor, a second one has to be quicker than three emulated ones: the first
    may have waited for the disk.
    """
    if not device.exists():
        return f"no {device}"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{device} is not accessible to this user"
    why, took_s = _try(qemu, "kvm", limit_s=_SLOW_S)
    if took_s >= _SLOW_S:
        unknown, emulated_s = _try(qemu, "tcg")
        limit_s = _LIMIT_S if unknown else max(_SLOW_S, 3 * emulated_s)
        why, took_s = _try(qemu, "kvm", limit_s=limit_s)
        if took_s >= limit_s and not unknown:
            return f"KVM is slower than emulation: nothing ran in {limit_s:.1f} s, emulated in {emulated_s:.1f} s"
    return f"KVM does not start a machine: {why}" if why else ""


def _try(qemu: Path, accel: str, *, limit_s: float = _LIMIT_S) -> tuple[str, float]:
    """Start a machine that ends at once: why that did not go well ("" if it did), and the seconds it took.

    One that takes ``limit_s`` is killed.
    """
    argv = [str(qemu), "-accel", accel, "-cpu", "host" if accel == "kvm" else "max"]
    argv += ["-m", "64M", "-nodefaults", "-display", "none"]
    begin = time.monotonic()
    with tempfile.NamedTemporaryFile(suffix=".img") as disk:
        if platform.machine() == "x86_64":
            disk.write(_BOOT_SECTOR)
            disk.flush()
            argv += ["-drive", f"file={disk.name},format=raw,if=ide", "-device", _EXIT_DEVICE]
            good = _BOOT_SECTOR_STATUS
        else:  # there is no such device: a virtual CPU is made, and runs nothing
            argv += ["-S", "-monitor", "stdio"]
            if platform.machine() in ("aarch64", "riscv64"):  # QEMU has no default for these
                argv += ["-machine", "virt"]
            good = 0
        try:
            done = run(argv, Bounds(seconds=limit_s, n_bytes=1 << 20), stdin=b"quit\n")
        except Overrun:
            return f"nothing ran in {limit_s:.1f} s", limit_s
        except OSError as problem:
            return str(problem), 0.0
    took_s = time.monotonic() - begin
    if done.status == good:
        return "", took_s
    complaint = done.complaint.decode("utf-8", "backslashreplace")
    lines = [line for line in complaint.splitlines() if line.strip()] or [f"qemu ended with {done.status}"]
    return lines[0].rpartition("error: ")[2].strip(), took_s

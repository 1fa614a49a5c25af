"""What a guest is made of: virtme-ng, QEMU, KVM or emulation, a kernel image; how to get what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kfgraph.capture.guest import kvm
from kfgraph.errors import MachineError
from kfgraph.kernel import images
from kfgraph.kernel.images import KernelImage


@dataclass(frozen=True)
class Machine:
    """What the guest is made of. ``accel`` is "kvm" or "tcg" (emulation)."""

    vng: Path
    qemu: Path
    accel: str
    cpus: int
    memory_mib: int


def find_vng() -> Path | None:
    """The ``vng`` of this Python's environment, else the one in PATH."""
    beside = Path(sys.executable).with_name("vng")
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which("vng")
    return Path(found) if found else None


def find_qemu() -> Path | None:
    """The system emulator for this machine's own architecture."""
    found = shutil.which(f"qemu-system-{platform.machine()}")
    return Path(found) if found else None


def _apt_architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


QEMU_REMEDY = "sudo apt-get install " + ("qemu-system-x86" if platform.machine() == "x86_64" else "qemu-system-arm")
VNG_REMEDY = f"{sys.executable} -m pip install 'kfgraph[guest]'"


def image_remedy() -> str:
    """How to get a kernel image here."""
    try:
        ubuntu = "ubuntu" in Path("/etc/os-release").read_text().lower()
    except OSError:
        ubuntu = False
    return "sudo apt-get install " + ("linux-image-generic" if ubuntu else f"linux-image-{_apt_architecture()}")


def find_machine(*, memory_mib: int | None = None) -> Machine:
    """The machine a guest gets here.

    Under emulation it has one CPU: QEMU 7.2 crashes a guest with more as soon as the graph tracer patches code.

    Raises:
        MachineError: QEMU or virtme-ng is missing.
    """
    vng, qemu = find_vng(), find_qemu()
    if vng is None:
        raise MachineError("virtme-ng (vng) is not installed", hint=VNG_REMEDY)
    if qemu is None:
        raise MachineError(f"qemu-system-{platform.machine()} is not installed", hint=QEMU_REMEDY)
    obstacle = kvm.obstacle(qemu)
    if memory_mib is None:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
        memory_mib = min(2048, max(512, total // 4))
    return Machine(
        vng=vng,
        qemu=qemu,
        accel="tcg" if obstacle else "kvm",
        cpus=1 if obstacle else min(4, os.cpu_count() or 1),
        memory_mib=memory_mib,
    )


def choose_image(wanted: str = "", *, boot: Path = images.BOOT, modules: Path = images.MODULES) -> KernelImage:
    """The image to boot: the one named (a path or a release), else the newest that can trace as a guest.

    Raises:
        MachineError: there is none, or the one named cannot be used; the hint says what to do.
    """
    found = images.list_images(boot=boot, modules=modules)
    if wanted:
        image = next((i for i in found if wanted == i.release), None)
        if image is None:
            if not Path(wanted).is_file():
                raise MachineError(f"no kernel image {wanted}", hint="kfgraph trace --guest-kernel list")
            if not images.may_be_kernel(Path(wanted)):
                raise MachineError(f"{wanted} is not a kernel image", hint="kfgraph trace --guest-kernel list")
            image = images.inspect(Path(wanted).resolve(), boot=boot, modules=modules)
        candidates: Sequence[KernelImage] = (image,)
    else:
        candidates = found
    if not candidates:
        raise MachineError(f"no kernel image in {boot}", hint=image_remedy())
    usable = next((image for image in candidates if not image.obstacles()), None)
    if usable is None:
        reason, remedy = candidates[0].obstacles()[0]
        raise MachineError(f"{candidates[0].path} cannot be used as a guest: {reason}", hint=remedy)
    return usable

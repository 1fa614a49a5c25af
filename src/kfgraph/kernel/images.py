"""Kernel images on this machine: which release each is, what its config offers, where its modules are.

Everything is read from files (``/boot``, ``/lib/modules``); nothing is run. The roots are arguments,
so that tests hand in a tree of their own.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

BOOT = Path("/boot")
MODULES = Path("/lib/modules")

_CONFIG_LINE = re.compile(r"^(CONFIG_\w+)=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class KernelImage:
    """One bootable kernel. ``config`` is empty and ``config_path`` None where no config is beside it."""

    release: str
    path: Path
    readable: bool
    modules: Path | None
    """The folder of its modules (``/lib/modules/RELEASE``) if it holds a ``modules.dep``."""
    config_path: Path | None = None
    config: Mapping[str, str] = field(default_factory=dict, repr=False)

    def has(self, option: str) -> bool | None:
        """Is CONFIG_``option`` built in or a module? None: there is no config to tell."""
        return self.config.get(f"CONFIG_{option}") in ("y", "m") if self.config else None

    @property
    def graph(self) -> bool | None:
        """The function_graph tracer, able to patch functions at run time."""
        return self._all("FUNCTION_GRAPH_TRACER", "DYNAMIC_FTRACE")

    @property
    def args(self) -> bool | None:
        """Function arguments in the graph (6.15 and later)."""
        return self.has("FUNCTION_TRACE_ARGS")

    @property
    def retval(self) -> bool | None:
        """Return values in the graph (6.5 and later; Debian's kernels have it off)."""
        return self.has("FUNCTION_GRAPH_RETVAL")

    @property
    def probes(self) -> bool | None:
        """Return probes, which give return values where the graph does not."""
        return self._all("KPROBE_EVENTS", "KRETPROBES")

    @property
    def shares_root(self) -> bool | None:
        """Can it mount the host's root as a guest (9p over virtio, with overlayfs above)?

        Cloud images come without 9p.
        """
        return self._all("9P_FS", "NET_9P_VIRTIO", "VIRTIO_PCI", "OVERLAY_FS")

    def _all(self, *options: str) -> bool | None:
        return all(self.has(option) for option in options) if self.config else None

    def obstacles(self) -> tuple[tuple[str, str], ...]:
        """Why it cannot be booted as a guest that traces: (reason, remedy) pairs; empty if it can."""
        found = []
        if not self.readable:
            found.append((f"{self.path} is not readable by this user", f"sudo chmod +r {self.path}"))
        if self.modules is None:
            found.append((f"its modules ({self.release}) are not in {MODULES}", "install the package that has them"))
        if self.graph is False:
            found.append(("built without the function_graph tracer", "choose another: --guest-kernel list"))
        if self.shares_root is False:
            found.append(
                ("cannot mount this machine's root (no 9p or no overlayfs)", "take the distribution's generic kernel")
            )
        return tuple(found)


def release_key(release: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts releases by age: numbers as numbers, ``-rc`` before the release it leads to."""
    parts = re.findall(r"rc(?=\d)|\d+|[a-zA-Z]+", release)
    keys = [(1, int(part), "") if part.isdigit() else (-1 if part == "rc" else 0, 0, part) for part in parts]
    return (*keys, (0, 0, ""))


def read_release(image: Path) -> str:
    """The release an x86 boot image says it is; "" if it is not one, or not readable.

    Source: Documentation/arch/x86/boot.rst, ``kernel_version`` at 0x20e.
    """
    try:
        with image.open("rb") as file:
            head = file.read(0x210)
            if len(head) < 0x210 or head[0x202:0x206] != b"HdrS":
                return ""
            file.seek(0x200 + int.from_bytes(head[0x20E:0x210], "little"))
            text = file.read(256).split(b"\0")[0].decode("ascii", "replace")
    except OSError:
        return ""
    return text.split(" ")[0]


def may_be_kernel(path: Path) -> bool:
    """Does the file begin as boot images do? One that cannot be read may be one.

    Sources: Documentation/arch/x86/boot.rst, arm64/booting.rst, riscv/boot-image-header.rst; the rest is packed or ELF.
    """
    try:
        with path.open("rb") as file:
            head = file.read(0x210)
    except OSError:
        return True
    begins = (b"\x7fELF", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"MZ")
    return (
        head.startswith(begins) or head[0x202:0x206] == b"HdrS" or head[0x38:0x3C] in (b"ARM\x64", b"RSC\x05")
    )


def read_config(path: Path) -> dict[str, str]:
    """A kernel ``.config``: option -> value as written (``y``, ``m``, a number, a quoted string)."""
    return dict(_CONFIG_LINE.findall(path.read_text(encoding="utf-8", errors="replace")))


def inspect(path: Path, *, boot: Path = BOOT, modules: Path = MODULES) -> KernelImage:
    """What is known about one image file; its release from its header, else from its name or folder."""
    release = read_release(path)
    if not release:
        name = path.name.partition("-")[2]
        release = name or (path.parent.name if path.parent.parent == modules else "")
    # A kernel unpacked elsewhere has its modules beside: DIR/boot/vmlinuz-R, DIR/lib/modules/R.
    beside = path.parent.parent / "lib" / "modules" / release
    folder = beside if release and (beside / "modules.dep").is_file() else modules / release
    config_path = next(
        (c for c in (path.parent / f"config-{release}", boot / f"config-{release}", folder / "config") if c.is_file()),
        None,
    )
    config: dict[str, str] = {}
    if config_path is not None:
        with contextlib.suppress(OSError):
            config = read_config(config_path)
    return KernelImage(
        release=release,
        path=path,
        readable=os.access(path, os.R_OK),
        modules=folder if release and (folder / "modules.dep").is_file() else None,
        config_path=config_path if config else None,
        config=config,
    )


def list_images(*, boot: Path = BOOT, modules: Path = MODULES) -> tuple[KernelImage, ...]:
    """Every kernel image in ``boot`` and ``modules``/RELEASE/vmlinuz, newest release first."""
    found: dict[str, KernelImage] = {}
    for path in _candidates(boot, modules):
        image = inspect(path, boot=boot, modules=modules)
        if image.release:
            found.setdefault(image.release, image)
    return tuple(sorted(found.values(), key=lambda image: release_key(image.release), reverse=True))


def _candidates(boot: Path, modules: Path) -> Iterator[Path]:
    for folder, pattern in ((boot, "vmlinuz-*"), (boot, "vmlinux-*"), (boot, "Image-*"), (modules, "*/vmlinuz")):
        if folder.is_dir():
            yield from sorted(p for p in folder.glob(pattern) if p.is_file() and "-rescue-" not in p.name)

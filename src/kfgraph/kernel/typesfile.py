"""Files with types (BTF): a kernel's or a module's, and of which kernel they are."""

from __future__ import annotations

import lzma
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kfgraph.errors import InputError
from kfgraph.kernel.btf import Btf
from kfgraph.kernel.module import ELF, modinfo_of, module_name, opened
from kfgraph.kernel.types import BTF


@dataclass(frozen=True, eq=False)
class TypesFile:
    """The types in a file: the kernel's (``module`` is ""), or a module's. ``release`` is of which kernel, "" where the
    file does not tell."""

    name: str
    btf: Btf
    release: str
    module: str = ""


_BANNER = re.compile(rb"Linux version (\S+)")
_MAGIC = (b"\x9f\xeb", b"\xeb\x9f")


def read_types(path: str | Path, *, base: Btf | None = None) -> TypesFile:
    """The types in a file: BTF itself (/sys/kernel/btf/vmlinux), or an ELF file with a section .BTF (vmlinux, a
    module); packed ones are unpacked.

    A module's go on where those of a kernel end: its own excerpt of them (.BTF.base), or ``base``.

    Raises:
        InputError: not there, not readable, no types in it, or a module's without a base.
    """
    file, shown = Path(path), str(path)
    try:
        with opened(file) as source:
            head = source.read(len(ELF))
            source.seek(0)
            if head[:2] in _MAGIC:
                return _raw_types(file, source.read())
            if head == ELF:
                return _elf_types(file, source, base)
    except OSError as problem:
        raise InputError(f"{shown}: {problem.strerror or 'cannot be unpacked'}") from problem
    except (EOFError, ValueError, struct.error, IndexError, lzma.LZMAError) as problem:
        raise InputError(f"{shown}: its types cannot be read: {problem}") from problem
    hint = "/sys/kernel/btf/vmlinux, or a vmlinux with a section .BTF"
    raise InputError(f"{shown}: holds no types (BTF)", hint)


def kernel_release(elf: Any) -> str:
    """The release that a vmlinux says it is (linux_banner); "" where it does not."""
    section = elf.get_section_by_name(".rodata")
    banner = _BANNER.search(section.data()) if section is not None else None
    return banner[1].decode("utf-8", "replace") if banner else ""


def _raw_types(file: Path, data: bytes) -> TypesFile:
    whole = file.resolve()
    running = whole.parent == BTF.parent
    if running and whole.name != BTF.name:
        return TypesFile(file.name, Btf.split(BTF.read_bytes(), data), os.uname().release, whole.name)
    return TypesFile(file.name, Btf(data), os.uname().release if running else "")


def _elf_types(file: Path, source: BinaryIO, base: Btf | None) -> TypesFile:
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    def section(name: str) -> bytes:
        found = elf.get_section_by_name(name)
        return found.data() if found is not None else b""

    try:
        elf = ELFFile(source)
        types, excerpt, told = section(".BTF"), section(".BTF.base"), modinfo_of(elf)
        is_module = "vermagic" in told
        release = told["vermagic"].split(" ")[0] if is_module else kernel_release(elf)
    except ELFError as problem:
        raise ValueError(str(problem)) from problem
    if not types:
        raise InputError(f"{file}: holds no types (no section .BTF)", "CONFIG_DEBUG_INFO_BTF makes them")
    if not is_module:
        return TypesFile(file.name, Btf(types), release)
    name = module_name(told, file)
    if excerpt:
        return TypesFile(file.name, Btf.split(excerpt, types), release, name)
    if base is None:
        raise InputError(f"{file}: a module's types go on where its kernel's end", f"--btf VMLINUX --btf {file}")
    return TypesFile(file.name, Btf.extended(base, types), release, name)

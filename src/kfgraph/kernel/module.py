"""A module's file (.ko, .ko.xz, .ko.zst, .ko.gz): its name, its functions.

Sources: the ELF of relocatable objects; Documentation/kbuild/modules.rst for .modinfo;
scripts/recordmcount.c and kernel/trace/ftrace.c for the table of traceable places.
"""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from kfgraph.errors import InputError
from kfgraph.kernel.btf import Btf
from kfgraph.kernel.types import returned_of
from kfgraph.model.companion import ModuleFunction, ModuleImage

# The sections that list the places the function tracer can patch, the first that is there: x86 from 6.2 on has
# the second too, for the padding before functions (the __pfx_ symbols), which is no such place.
_PLACES = ("__mcount_loc", "__patchable_function_entries")
# On arm64 and others the patched place may lie this far before the function's first instruction.
BEFORE_ENTRY = 16
# Symbols of the padding before a function, and of its type hash.
_NO_FUNCTIONS = ("__pfx_", "__cfi_")
_ALIASES = ("init_module", "cleanup_module")
SUFFIXES = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")
ELF = b"\x7fELF"
_MOST_BYTES = 1 << 28
"""Of a file that nobody named: a companion may come from anywhere."""
_ALLOCATED_CODE = 0x2 | 0x4
"""SHF_ALLOC and SHF_EXECINSTR."""


@dataclass(frozen=True)
class Text:
    """One executable section, where the loader puts it: ``offset`` bytes behind the beginning of its region, which
    begins on a page. The sections that are given back after the init are a region of their own (``init``).

    ``sites`` are the places in it that ftrace can patch, from the section's beginning, each with the function's name.
    """

    name: str
    init: bool
    offset: int
    size: int
    sites: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Module:
    """One module file. ``traceable`` are names of its functions that ftrace can hook, one name for each function.

    ``ambiguous`` are names that more than one of its functions have: a probe by name cannot tell them apart.
    ``init`` is the name of its init function, "" if it has none or ftrace cannot hook it. ``texts`` are its executable
    sections, in the order in which the loader lays them out; ``imports`` the symbols that it takes from the kernel and
    from other modules, in the order of its symbol table.
    """

    image: ModuleImage
    traceable: tuple[str, ...]
    ambiguous: frozenset[str]
    init: str = ""
    texts: tuple[Text, ...] = ()
    imports: tuple[str, ...] = ()
    calls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Function -> those of the ``imports`` that its code names."""


def read_module(path: str | Path) -> Module:
    """Read a module's file.

    Raises:
        InputError: not there, not readable, or no kernel module.
    """
    from elftools.elf.elffile import ELFFile

    shown = str(path)
    try:
        with opened(path) as stream:
            data = stream.read()
    except OSError as problem:
        raise InputError(f"{shown}: {problem.strerror or 'cannot be unpacked'}") from problem
    except (EOFError, lzma.LZMAError, ValueError) as problem:
        raise InputError(f"{shown}: cannot be unpacked: {problem}") from problem
    try:
        elf = ELFFile(io.BytesIO(data))
        info = modinfo_of(elf)
        functions = _typed(elf, tuple(_functions(elf)))
        sites = _sites(elf, functions)
        traceable = tuple(dict.fromkeys(name for section in sites.values() for _, name in section))
        texts = tuple(_texts(elf, sites))
        imports = _imports(elf)
        calls = _calls(elf, functions, imports)
        build_id = build_id_of(elf)
    except Exception as problem:  # a damaged file makes elftools raise errors of all kinds, seen in a fuzz run
        raise InputError(f"{shown}: not a kernel module ({problem})") from problem
    if "vermagic" not in info:
        raise InputError(f"{shown}: not a kernel module (no vermagic)")
    image = ModuleImage(
        name=module_name(info, path),
        path=str(Path(path).absolute()),
        build_id=build_id,
        vermagic=info["vermagic"].strip(),
        functions=functions,
    )
    counts = Counter(f.name for f in functions)
    return Module(
        image=image,
        traceable=traceable,
        ambiguous=frozenset(name for name, n in counts.items() if n > 1),
        init=_init(functions, frozenset(traceable)),
        texts=texts,
        imports=tuple(imports.values()),
        calls=calls,
    )


def _init(functions: tuple[ModuleFunction, ...], traceable: frozenset[str]) -> str:
    """The name, among those that ftrace can hook, of what ``init_module`` is another name of."""
    at = next(((f.section, f.offset) for f in functions if f.name == _ALIASES[0]), None)
    return next((f.name for f in functions if (f.section, f.offset) == at and f.name in traceable), "")


def opened(path: str | Path) -> BinaryIO:
    """The file, or what is packed in it. One that is not packed is not read here: a vmlinux may be large.

    Raises:
        InputError: it is no regular file.
        OSError, EOFError, ValueError, lzma.LZMAError: not there, not readable, or what is packed is damaged.
    """
    # A pipe would be emptied, and is perhaps the command's own standard input.
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise InputError(f"{path}: not a regular file")
    stream = Path(path).open("rb")  # noqa: SIM115
    if stream.read(len(ELF)) == ELF:
        stream.seek(0)
        return stream
    with stream:
        stream.seek(0)
        return io.BytesIO(unpacked(stream.read()))


def unpacked(data: bytes) -> bytes:
    """What xz, gzip or zstd packed; the bytes themselves where none did.

    Raises:
        ValueError, EOFError, OSError, lzma.LZMAError: what is packed is damaged.
    """
    if data[:6] == b"\xfd7zXZ\0":
        return lzma.decompress(data)
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        import zstandard

        try:
            # Written by the zstd program, whose frames may not tell their size.
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
        except zstandard.ZstdError as problem:
            raise ValueError(str(problem)) from problem
    return data


def modinfo_of(elf: Any) -> dict[str, str]:
    """What a module's file says of itself; a module has a ``vermagic``. Empty for a kernel."""
    section = elf.get_section_by_name(".modinfo")
    entries = (section.data() if section else b"").decode("utf-8", "replace").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def module_name(info: Mapping[str, str], path: str | Path) -> str:
    """The module's name, by its :func:`modinfo_of`. Before 4.13 that does not say it: the file's name is all there is.
    """
    return (info.get("name") or Path(path).name.partition(".ko")[0]).replace("-", "_")


def files_in_place(images: Iterable[ModuleImage]) -> Iterator[tuple[ModuleImage, Path]]:
    """The modules that a command loaded whose build is known and whose file still lies where it was. It may be another
    build now."""
    for image in images:
        path = Path(image.path)
        if not image.build_id or not path.is_absolute() or not path.name.endswith(SUFFIXES):
            continue
        with suppress(OSError):
            if path.stat().st_size <= _MOST_BYTES:
                yield image, path


def build_id_of(elf: Any) -> str:
    """The build ID of an ELF file, in hex; "" where it has none."""
    section = elf.get_section_by_name(".note.gnu.build-id")
    if section is None:
        return ""
    return next((str(note["n_desc"]) for note in section.iter_notes() if note["n_type"] == "NT_GNU_BUILD_ID"), "")


def _functions(elf: Any) -> Iterator[ModuleFunction]:
    table = elf.get_section_by_name(".symtab")
    for symbol in table.iter_symbols() if table else ():
        index = symbol["st_shndx"]
        is_function = symbol["st_info"]["type"] == "STT_FUNC" and not symbol.name.startswith(_NO_FUNCTIONS)
        if is_function and isinstance(index, int):
            section = elf.get_section(index).name
            yield ModuleFunction(symbol.name, section, int(symbol["st_value"]), int(symbol["st_size"]))


def _typed(elf: Any, functions: tuple[ModuleFunction, ...]) -> tuple[ModuleFunction, ...]:
    """With what they return, where the file has types that it needs no other for (.BTF.base: since 6.11)."""
    own, base = elf.get_section_by_name(".BTF"), elf.get_section_by_name(".BTF.base")
    if own is None or base is None:
        return functions
    try:
        types = Btf.split(base.data(), own.data())
        found = {f.name: types.prototype(f.name) for f in functions}
    except (ValueError, struct.error):
        return functions
    told = {name: returned_of(one, long_size=elf.elfclass // 8) for name, one in found.items() if one is not None}
    return tuple(replace(f, returns=told.get(f.name)) for f in functions)


def _sites(elf: Any, functions: tuple[ModuleFunction, ...]) -> dict[str, list[tuple[int, str]]]:
    """Section -> (place, function) of what ftrace can patch in it; a function's own name, not an alias of it."""
    by_section: dict[str, list[ModuleFunction]] = {}
    # init_module is another name of the init function that everybody knows by its own.
    for function in sorted(functions, key=lambda f: (f.offset, f.name in _ALIASES)):
        others = by_section.setdefault(function.section, [])
        if not others or others[-1].offset != function.offset:
            others.append(function)
    found: dict[str, list[tuple[int, str]]] = {}
    for section, place in _places(elf):
        candidates = by_section.get(section, [])
        after = bisect_right(candidates, place, key=lambda f: f.offset)
        around = candidates[after - 1] if after else None
        if around and place < around.offset + max(1, around.size):
            found.setdefault(section, []).append((place, around.name))
        elif after < len(candidates) and candidates[after].offset - place <= BEFORE_ENTRY:
            found.setdefault(section, []).append((place, candidates[after].name))
    return found


def _imports(elf: Any) -> dict[int, str]:
    """Place in the symbol table -> name."""
    table = elf.get_section_by_name(".symtab")
    symbols = enumerate(table.iter_symbols() if table else ())
    return {at: symbol.name for at, symbol in symbols if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name}


def _calls(
    elf: Any, functions: tuple[ModuleFunction, ...], imports: Mapping[int, str]
) -> dict[str, tuple[str, ...]]:
    """Function -> the imports that its code names, by the relocations; what the compiler put apart (.cold) is its."""
    wide = elf.elfclass == 64
    word = "Q" if wide else "I"
    by_section: dict[str, list[ModuleFunction]] = {}
    for function in sorted(functions, key=lambda f: (f.offset, f.name not in _ALIASES)):
        by_section.setdefault(function.section, []).append(function)
    found: dict[str, dict[str, None]] = {}
    for section in elf.iter_sections():
        if section["sh_type"] not in ("SHT_RELA", "SHT_REL") or elf.get_machine_arch() == "MIPS":
            continue  # MIPS has another layout
        of = by_section.get(elf.get_section(section["sh_info"]).name, [])
        layout = ("<" if elf.little_endian else ">") + word * 2 + (word.lower() if section.is_RELA() else "")
        starts = [f.offset for f in of]
        for place, info, *_ in struct.iter_unpack(layout, section.data() if of else b""):
            name = imports.get(info >> (32 if wide else 8))
            around = bisect_right(starts, place) - 1
            if name is not None and around >= 0 and place < of[around].offset + of[around].size:
                found.setdefault(of[around].name.partition(".cold")[0], {})[name] = None
    return {name: tuple(names) for name, names in found.items()}


def _texts(elf: Any, sites: dict[str, list[tuple[int, str]]]) -> Iterator[Text]:
    """The executable sections as the loader lays them out: in the file's order, each at its alignment.

    Source: layout_sections in kernel/module/main.c.
    """
    ends = {False: 0, True: 0}
    for section in elf.iter_sections():
        if section["sh_flags"] & _ALLOCATED_CODE != _ALLOCATED_CODE:
            continue
        init = section.name.startswith(".init")
        alignment = max(1, section["sh_addralign"])
        offset = -(-ends[init] // alignment) * alignment
        ends[init] = offset + section["sh_size"]
        yield Text(section.name, init, offset, section["sh_size"], tuple(sorted(sites.get(section.name, ()))))


def _places(elf: Any) -> Iterator[tuple[str, int]]:
    """(section, offset) of each patchable place, from the table's relocations."""
    symbols = elf.get_section_by_name(".symtab")
    relocations = [s for s in elf.iter_sections() if s["sh_type"] in ("SHT_RELA", "SHT_REL")]
    tables = [(section, elf.get_section(section["sh_info"])) for section in relocations]
    wanted = next((name for name in _PLACES if any(table.name == name for _, table in tables)), "")
    # A module may have several of these tables, one for each section they speak of.
    for section, table in tables:
        if table.name != wanted:
            continue
        data, width = table.data(), elf.elfclass // 8
        order = "little" if elf.little_endian else "big"
        for relocation in section.iter_relocations():
            symbol = symbols.get_symbol(relocation["r_info_sym"])
            if not isinstance(symbol["st_shndx"], int):
                continue
            at = relocation["r_offset"]
            addend = relocation["r_addend"] if section.is_RELA() else int.from_bytes(data[at : at + width], order)  # type: ignore[arg-type]
            yield elf.get_section(symbol["st_shndx"]).name, int(symbol["st_value"]) + int(addend)

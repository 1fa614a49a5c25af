"""Where functions stand in the source: from debug info (DWARF) of a vmlinux or a module, or a source tree.

Sources: the DWARF standard, versions 4 and 5; include/linux/syscalls.h for SYSCALL_DEFINE.
"""

from __future__ import annotations

import lzma
import os
import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kfgraph.errors import InputError
from kfgraph.kernel.btf import Prototype
from kfgraph.kernel.dwarftypes import prototype_of
from kfgraph.kernel.linetable import Place, lines_in, sections_of
from kfgraph.kernel.module import build_id_of, modinfo_of, module_name, opened
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.kernel.typesfile import kernel_release
from kfgraph.model.spelling import plain_name

_T = TypeVar("_T")
_SOURCES = (".c", ".h", ".S", ".rs")
_BEFORE_BODY = re.compile(rb"(?:\s|/\*.*?\*/|//[^\n]*\n|__\w+(?:\([^)]*\))?)*([{;,=(]?)", re.DOTALL)
"""Comments and attributes, and what comes then."""


@dataclass(frozen=True)
class SourceLine:
    """A function's definition, or a call. ``origin`` is ``debug info`` or ``source tree``; ``folder`` is where ``file``
    lies: where it was compiled, or the tree."""

    file: str
    line: int
    origin: str
    folder: str = field(default="", compare=False)

    def to_dict(self) -> dict[str, str | int]:
        """What ``kfgraph why --json`` prints."""
        return {"file": self.file, "line": self.line, "origin": self.origin}

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class DebugInfo:
    """The debug info of one file: a module's (``module`` is its name) or a kernel's (``module`` is "").

    Raises:
        InputError: not there, not readable, no ELF file, or without debug info.
    """

    def __init__(self, path: str | Path) -> None:
        from elftools.elf.elffile import ELFFile

        self.path = str(path)
        try:
            stream = opened(path)
        except (OSError, EOFError, lzma.LZMAError, ValueError) as problem:
            raise InputError(f"{self.path}: {getattr(problem, 'strerror', None) or 'cannot be unpacked'}") from problem
        try:
            self._elf = elf = ELFFile(stream)
            info = modinfo_of(elf)
            self.build_id = build_id_of(elf)
            self.module = module_name(info, path) if "vermagic" in info else ""
            self.release = "" if self.module else kernel_release(elf)
            has_dwarf = elf.has_dwarf_info(strict=True)
            self.long_size = elf.elfclass // 8
        except Exception as problem:  # a damaged file makes elftools raise errors of all kinds
            raise InputError(f"{self.path}: not an ELF file ({problem})") from problem
        if not has_dwarf:
            raise InputError(f"{self.path}: no debug info", "build with CONFIG_DEBUG_INFO, and do not strip")
        self._dwarf: Any = None

    def find(self, functions: Collection[str]) -> dict[str, SourceLine]:
        """Function -> its line, of those that are found once; damaged debug info has none."""
        return self._once(functions, self._line)

    def prototypes(self, functions: Collection[str]) -> dict[str, Prototype]:
        """Function -> its prototype, of those that are defined once; damaged debug info has none."""
        return self._once(functions, lambda unit, die: prototype_of(die))

    def calls(self, sites: Collection[tuple[str, int]]) -> dict[tuple[str, int], SourceLine]:
        """(function, bytes from its beginning to where a call in it returns to) -> the line of that call. Where code
        was inlined it is the innermost line. None of a name that several functions have, nor of damaged debug info."""
        try:
            if self._dwarf is None:
                self._dwarf = self._elf.get_dwarf_info()
            return self._lines_of_calls(sites)
        except Exception:  # as above
            return {}

    def _lines_of_calls(self, sites: Collection[tuple[str, int]]) -> dict[tuple[str, int], SourceLine]:
        begins = self._symbols({name for name, _ in sites})
        sections = sections_of(self._elf)
        places: dict[Place, list[tuple[str, int]]] = {}
        for name, offset in sites:
            found = {one[:2] for one in begins.get(name, ()) if not one[2] or offset <= one[2]}
            if len(found) == 1:
                section, address = found.pop()
                # The call ends where it returns to.
                at = Place(-1 if sections is None else section, address + offset - 1)
                places.setdefault(at, []).append((name, offset))
        wanted: dict[int, list[int]] = {}
        for place in sorted(places):
            wanted.setdefault(place.section, []).append(place.address)
        lines: dict[Place, set[SourceLine]] = {}
        for unit in self._units_at({place.address for place in places}) if places else ():
            program = self._dwarf.line_program_for_CU(unit)
            if program is None:
                continue
            little = self._elf.little_endian
            for place, file, line in lines_in(program, wanted, sections, little_endian=little):
                if line:
                    path, folder = self._file(unit, unit.get_top_DIE(), file)
                    lines.setdefault(place, set()).add(SourceLine(path, line, "debug info", folder))
        return {site: next(iter(told)) for place, told in lines.items() if len(told) == 1 for site in places[place]}

    def _once(self, functions: Collection[str], tells: Callable[[Any, Any], _T]) -> dict[str, _T]:
        """Function -> what ``tells`` says of its definition (unit, DIE), of those of which it says one thing."""
        try:
            if self._dwarf is None:
                self._dwarf = self._elf.get_dwarf_info()
            wanted = {plain_name(name) for name in functions}
            found: dict[str, set[_T]] = {}
            for unit in self._units(wanted):
                for name, die in self._definitions(unit, wanted):
                    found.setdefault(name, set()).add(tells(unit, die))
        except Exception:  # as above
            return {}
        return {name: told.pop() for name, told in found.items() if len(told) == 1}

    def _units(self, wanted: Collection[str]) -> Iterator[Any]:
        """The compilation units that may define these: all of a module's, those at the functions' addresses else."""
        symbols = {} if self.module else self._symbols(wanted, functions_only=True)
        yield from self._units_at({address for found in symbols.values() for _, address, _ in found})

    def _units_at(self, addresses: Collection[int]) -> Iterator[Any]:
        if self.module:
            yield from self._dwarf.iter_CUs()
            return
        aranges = self._dwarf.get_aranges()
        if aranges is not None:
            offsets = {aranges.cu_offset_at_addr(address) for address in addresses} - {None}
            for offset in sorted(offsets):
                yield self._dwarf.get_CU_at(offset)
            return
        ascending = sorted(addresses)
        for unit in self._dwarf.iter_CUs():
            if any(bisect_left(ascending, low) < bisect_left(ascending, high) for low, high in self._ranges(unit)):
                yield unit

    def _symbols(
        self, wanted: Collection[str], *, functions_only: bool = False
    ) -> dict[str, list[tuple[int, int, int]]]:
        """Name -> (section, address, size) of the functions of that name, by the symbol table; also of what assembler
        code does not say to be a function."""
        table = self._elf.get_section_by_name(".symtab")
        if table is None:
            return {}
        strings = self._elf.get_section(table["sh_link"]).data()
        order, wide = "<" if self._elf.little_endian else ">", self._elf.elfclass == 64
        layout = "u4,u1,u1,u2,u8,u8" if wide else "u4,u4,u4,u1,u1,u2"
        symbols = np.frombuffer(table.data(), ",".join(order + one for one in layout.split(",")))
        kind, section, value, size = ("f1", "f3", "f4", "f5") if wide else ("f3", "f5", "f1", "f2")
        kinds, inside = symbols[kind] & 0xF, symbols[section]
        is_code = kinds == 2  # STT_FUNC
        if not functions_only:
            is_code |= (kinds == 0) & (inside > 0) & (inside < 0xFF00)  # STT_NOTYPE, and neither undefined nor a number
        symbols = symbols[is_code]
        found: dict[str, list[tuple[int, int, int]]] = {}
        names = {name.encode(): name for name in wanted}
        places = zip(*(symbols[one].tolist() for one in (section, value, size)), strict=True)
        for start, place in zip(symbols["f0"].tolist(), places, strict=True):
            name = names.get(strings[start : strings.find(0, start)])
            if name is not None:
                found.setdefault(name, []).append(place)
        return found

    def _ranges(self, unit: Any) -> Iterator[tuple[int, int]]:
        top = unit.get_top_DIE()
        low, high, ranges = (top.attributes.get(f"DW_AT_{name}") for name in ("low_pc", "high_pc", "ranges"))
        base = low.value if low else 0
        if high is not None:
            yield base, high.value + (0 if high.form == "DW_FORM_addr" else base)
        elif ranges is not None:
            for one in self._dwarf.range_lists().get_range_list_at_offset(ranges.value, cu=unit):
                if hasattr(one, "begin_offset"):
                    own = 0 if getattr(one, "is_absolute", False) else base
                    yield own + one.begin_offset, own + one.end_offset
                else:
                    base = one.base_address

    def _definitions(self, unit: Any, wanted: Collection[str]) -> Iterator[tuple[str, Any]]:
        for die in unit.get_top_DIE().iter_children():
            given = die.attributes
            if die.tag != "DW_TAG_subprogram" or "DW_AT_declaration" in given or "DW_AT_decl_line" not in given:
                continue
            name = given["DW_AT_name"].value.decode("utf-8", "replace") if "DW_AT_name" in given else ""
            if name in wanted:
                yield name, die

    def _line(self, unit: Any, die: Any) -> SourceLine:
        file, folder = self._file(unit, unit.get_top_DIE(), die.attributes["DW_AT_decl_file"].value)
        return SourceLine(file, int(die.attributes["DW_AT_decl_line"].value), "debug info", folder)

    def _file(self, unit: Any, top: Any, number: int) -> tuple[str, str]:
        """The path of a unit's file, from where it was compiled where it lies below that; and where that is."""
        program = self._dwarf.line_program_for_CU(unit)
        first = 0 if program["version"] >= 5 else 1
        entry = program["file_entry"][number - first]
        folder = ""
        if program["version"] >= 5 or entry.dir_index:
            folder = program["include_directory"][entry.dir_index - first].decode("utf-8", "replace")
        compiled_in = top.attributes.get("DW_AT_comp_dir")
        root = compiled_in.value.decode("utf-8", "replace") if compiled_in else ""
        path = os.path.normpath(str(Path(root, folder, entry.name.decode("utf-8", "replace"))))
        inside = root and path.startswith(root.rstrip("/") + "/")
        return os.path.relpath(path, root) if inside else path, root


def find_in_tree(folder: str | Path, functions: Collection[str]) -> dict[str, SourceLine]:
    """Function -> its line, of those that the C files below a folder define once. Found by their text.

    Raises:
        InputError: no folder is there.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{folder}: not a directory of sources")
    names = {plain_name(name) for name in functions}
    calls: dict[str, list[str]] = {}
    for name in names:
        if call := system_call_of(name):
            calls.setdefault(call, []).append(name)
    if not names:
        return {}
    words = b"|".join(re.escape(name.encode()) for name in sorted(names))
    plain_definition = rb"^(?:[A-Za-z_][^\n;=(){}#\"]*?[\s*])?(" + words + rb")[ \t]*\("
    macro = rb"^(?:COMPAT_)?SYSCALL_DEFINE\d\((" + b"|".join(re.escape(c.encode()) for c in sorted(calls)) + rb")\b"
    pattern = re.compile(b"|".join([plain_definition, *([macro] if calls else [])]), re.MULTILINE)
    found: dict[str, set[SourceLine]] = {}
    for path in _source_files(root):
        try:
            text = path.read_bytes()
        except OSError:
            continue
        for match in pattern.finditer(text):
            word = (match[1] or match[2]).decode()
            if match[1] and not _is_definition(text, match.end()):
                continue
            line = text.count(b"\n", 0, match.start(1 if match[1] else 2)) + 1
            place = SourceLine(os.path.relpath(path, root), line, "source tree", str(root))
            for name in [word] if match[1] else calls[word]:
                found.setdefault(name, set()).add(place)
    return {name: lines.pop() for name, lines in found.items() if len(lines) == 1}


def _source_files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(_SOURCES) and not name.endswith(".mod.c"):
                yield Path(folder, name)


def _is_definition(text: bytes, after: int) -> bool:
    """Whether the parameters that begin before ``after`` are followed by a body."""
    depth, end = 1, min(len(text), after + 4096)
    while after < end and depth:
        depth += {b"(": 1, b")": -1}.get(text[after : after + 1], 0)
        after += 1
    following = _BEFORE_BODY.match(text, after, end)
    return depth == 0 and following is not None and following[1] == b"{"


def source_lines(
    functions: Collection[tuple[str, str]], debug_info: Sequence[DebugInfo], trees: Sequence[str | Path]
) -> Mapping[tuple[str, str], SourceLine]:
    """(function, module) -> where it is defined. Debug info goes before the text of a tree.

    Raises:
        InputError: no tree is there.
    """
    found: dict[tuple[str, str], SourceLine] = {}
    for info in debug_info:
        wanted = {name: (name, module) for name, module in functions if module == info.module}
        lines = info.find(wanted)
        found.update({key: lines[plain_name(name)] for name, key in wanted.items() if plain_name(name) in lines})
    for tree in trees:
        rest = [(name, module) for name, module in functions if (name, module) not in found]
        lines = find_in_tree(tree, [name for name, _ in rest])
        found.update({(name, module): lines[plain_name(name)] for name, module in rest if plain_name(name) in lines})
    return found

"""Lines of addresses, from the line program of a compilation unit's debug info.

Source: the DWARF standard, versions 2 to 5, chapter "Line Number Information". Decoded here: elftools makes an object
of each row, and a kernel has millions.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

# The relocation that is a whole address, by machine: in a module's file the operands that begin a sequence.
_ADDRESS = {
    "EM_X86_64": 1, "EM_386": 1, "EM_AARCH64": 257, "EM_ARM": 2, "EM_S390": 22, "EM_PPC64": 38, "EM_RISCV": 2,
    "EM_LOONGARCH": 2,
}  # fmt: skip


class Place(NamedTuple):
    """An address; in a file that is not linked (``section`` >= 0) from the section's beginning."""

    section: int
    address: int


class Rows(NamedTuple):
    """One sequence: rows of ascending addresses, up to ``end``."""

    section: int
    addresses: list[int]
    files: list[int]
    lines: list[int]
    end: int


def sections_of(elf: Any) -> dict[int, int] | None:
    """Byte of .debug_line -> the section that the address there is in; None: the file is linked, they are absolute.

    Of a machine whose relocations are not known no address has a section: nothing is told of it.
    """
    if elf["e_type"] != "ET_REL":
        return None
    found: dict[int, int] = {}
    kind = _ADDRESS.get(elf["e_machine"])
    for section in elf.iter_sections():
        if section["sh_type"] not in ("SHT_RELA", "SHT_REL"):
            continue
        if elf.get_section(section["sh_info"]).name not in (".debug_line", ".zdebug_line"):
            continue
        symbols = elf.get_section(section["sh_link"])
        for relocation in section.iter_relocations():
            index = symbols.get_symbol(relocation["r_info_sym"])["st_shndx"]
            if relocation["r_info_type"] == kind and isinstance(index, int):
                found[relocation["r_offset"]] = index
    return found


def lines_in(
    program: Any, wanted: Mapping[int, Sequence[int]], sections: Mapping[int, int] | None, *, little_endian: bool
) -> Iterator[tuple[Place, int, int]]:
    """(place, number of its file, line) of those that ``program`` (elftools) tells of. Line 0, which is none, too.

    ``wanted``: section -> addresses, ascending.
    """
    order: Any = "little" if little_endian else "big"
    stream = program.stream
    stream.seek(program.program_start_offset)
    data = stream.read(program.program_end_offset - program.program_start_offset)
    for rows in _sequences(program, data, sections, order):
        of_section = wanted.get(rows.section, ())
        first, behind = (bisect_left(of_section, address) for address in (rows.addresses[0], rows.end))
        for address in of_section[first:behind]:
            # Of rows with one address the last says what is there.
            at = bisect_right(rows.addresses, address) - 1
            yield Place(rows.section, address), rows.files[at], rows.lines[at]


def _sequences(head: Any, data: bytes, sections: Mapping[int, int] | None, order: Any) -> Iterator[Rows]:
    step, base, span = head["minimum_instruction_length"], head["line_base"], head["line_range"]
    first_special, lengths = head["opcode_base"], head["standard_opcode_lengths"]
    begin, at, end = head.program_start_offset, 0, len(data)
    addresses: list[int] = []
    files: list[int] = []
    lines: list[int] = []
    address, file, line, section = 0, 1, 1, -1
    while at < end:
        code = data[at]
        at += 1
        if code >= first_special:
            code -= first_special
            address += code // span * step
            line += base + code % span
            addresses.append(address)
            files.append(file)
            lines.append(line)
        elif code == 0:
            size, at = _unsigned(data, at)
            what, behind = data[at], at + size
            if what == 1:  # the end of the sequence
                known = sections is None or section >= 0
                if addresses and known and all(a <= b for a, b in pairwise(addresses)):
                    yield Rows(section, addresses, files, lines, address)
                addresses, files, lines = [], [], []
                address, file, line, section = 0, 1, 1, -1
            elif what == 2:  # an address
                address = int.from_bytes(data[at + 1 : behind], order)
                section = -1 if sections is None else sections.get(begin + at + 1, -1)
            at = behind
        elif code == 1:
            addresses.append(address)
            files.append(file)
            lines.append(line)
        elif code == 2:
            value, at = _unsigned(data, at)
            address += value * step
        elif code == 3:
            value, at = _signed(data, at)
            line += value
        elif code == 4:
            file, at = _unsigned(data, at)
        elif code == 8:
            address += (255 - first_special) // span * step
        elif code == 9:
            address += int.from_bytes(data[at : at + 2], order)
            at += 2
        else:
            for _ in range(lengths[code - 1]):
                _, at = _unsigned(data, at)


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _signed(data: bytes, at: int) -> tuple[int, int]:
    begin = at
    value, at = _unsigned(data, at)
    bits = 7 * (at - begin)
    return (value - (1 << bits) if value >> (bits - 1) else value), at

"""Small ELF files, section by section: little endian, 64 bits. Source: elf(5)."""

from __future__ import annotations

import struct
from collections.abc import Mapping


def elf(sections: Mapping[str, bytes]) -> bytes:
    """A relocatable file with these sections, and the one that names them."""
    names, place = b"\0", {}
    for name in (*sections, ".shstrtab"):
        place[name] = len(names)
        names += name.encode() + b"\0"
    parts = {**sections, ".shstrtab": names}
    data, headers = b"", [b"\0" * 64]
    for name, content in parts.items():
        kind = 3 if name == ".shstrtab" else 1
        headers.append(struct.pack("<IIQQQQIIQQ", place[name], kind, 0, 0, 64 + len(data), len(content), 0, 0, 1, 0))
        data += content
    data += b"\0" * (-len(data) % 8)
    ident = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    head = struct.pack(
        "<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64 + len(data), 0, 64, 0, 0, 64, len(headers), len(headers) - 1
    )
    return ident + head + data + b"".join(headers)

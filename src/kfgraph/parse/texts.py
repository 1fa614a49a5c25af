"""Many short texts in one buffer: what marks say, what calls were given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kfgraph.model.fields import Pieces
from kfgraph.model.lazily import MadeWhenAsked


def decode(text: bytes) -> str:
    """Bytes of a trace as str. What is no UTF-8 stays readable as ``\\xff``."""
    return text.decode("utf-8", "backslashreplace")


def event_of(text: bytes) -> tuple[bytes, bytes]:
    """(name, text) of a tracefs comment; the short forms of syscall events get their events' names."""
    text = text.strip().removeprefix(b"/*").removesuffix(b"*/").strip()
    name, arrow, value = text.partition(b" -> ")
    if arrow and name.startswith(b"sys_") and name.replace(b"_", b"a").isalnum():
        return b"sys_exit_" + name[4:], value
    name, bracket, value = text.partition(b"(")
    if bracket and name.startswith(b"sys_") and name.replace(b"_", b"a").isalnum():
        return b"sys_enter_" + name[4:], value.removesuffix(b")")
    name, colon, value = text.partition(b":")
    if colon and name.replace(b"_", b"a").isalnum() and not name[:1].isdigit():
        return name, value.strip()
    return b"comment", text


class Texts(Pieces, MadeWhenAsked[str]):
    """Text i is ``data[ends[i - 1]:ends[i]]``."""

    def __init__(self, data: bytes | bytearray, ends: Sequence[int]) -> None:
        super().__init__(np.frombuffer(bytes(data), np.uint8), np.array(ends, np.int64))

    def _made(self, at: int) -> str:
        return decode(self._piece(at).tobytes())

"""Many short texts in one buffer: what marks say, what calls were given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
import numpy.typing as npt


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


class Texts(Sequence[str]):
    """Text i is ``data[ends[i - 1]:ends[i]]``, decoded when asked for."""

    def __init__(self, data: bytes | bytearray, ends: Sequence[int]) -> None:
        self._data = bytes(data)
        self._ends: npt.NDArray[np.int64] = np.array(ends, np.int64)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        if at < 0:
            at += len(self)
        if not 0 <= at < len(self):
            raise IndexError(at)
        return decode(self._data[int(self._ends[at - 1]) if at else 0 : int(self._ends[at])])

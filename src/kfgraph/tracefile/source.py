"""Bytes of a trace.dat: reads at offsets, numbers in the file's byte order."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path
from typing import Any

from kfgraph.errors import InputError
from kfgraph.model.units import format_bytes

_MAX_NAME = 4096
_MAX_DIGITS = 18
_HINT = "the file is damaged or was cut; `trace-cmd dump --summary -i FILE` shows what trace-cmd makes of it"


class Damage(Exception):
    """Something at ``offset`` of the file cannot be what it says."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(what)
        self.offset = offset
        self.what = what

    def as_error(self, path: str, *, hint: str = "") -> InputError:
        """The same as the command line shows it."""
        return InputError(f"{path}: {self.what} (at byte {self.offset})", hint or _HINT)


def whole(text: str) -> int:
    """The decimal number that a text from a file is; -1 if it is none, or longer than a file has reason for."""
    return int(text) if len(text) <= _MAX_DIGITS and text.isascii() and text.isdigit() else -1


class Source:
    """A regular file read at offsets, from more than one thread.

    It is open until it is closed or nobody has it any more. A copy that was pickled opens it again by its
    path. ``grows``: more may be appended while it is read (what was there counts).
    """

    # Kept here: when the interpreter ends, a trace may be freed after the names of this module.
    _close = staticmethod(os.close)

    # Reads, not a mapping: a mapping of a file that another program cuts short kills the process.
    def __init__(self, path: str | os.PathLike[str], *, grows: bool = False) -> None:
        """Raises OSError: it cannot be opened, or is no regular file."""
        self._fd = -1
        self.path = os.fspath(path)
        self._grows = grows
        self._fd, found = _open(self.path)
        self.size = found.st_size
        self._written = found.st_mtime_ns

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_fd": -1, "path": str(Path(self.path).absolute())}

    def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._close(fd)

    @property
    def has_name(self) -> bool:
        """Whether the path still leads to the file that is open, or nothing is open yet."""
        if self._fd < 0:
            return True
        try:
            return os.path.samestat(os.fstat(self._fd), Path(self.path).stat())
        except OSError:
            return False

    def still(self) -> bool:
        """Whether the file holds what it held when it was first opened, as far as its size and its time tell."""
        try:
            with _REOPENING:
                if self._fd < 0:
                    self._fd, found = _open(self.path)
                else:
                    found = os.fstat(self._fd)
        except OSError:
            return False
        if self._grows:
            return found.st_size >= self.size
        return (found.st_size, found.st_mtime_ns) == (self.size, self._written)

    def read(self, offset: int, size: int) -> bytes:
        """At most ``size`` bytes at ``offset``; fewer at the end of the file.

        Raises:
            Damage: the system cannot read there.
        """
        if offset >= self.size or size <= 0:
            return b""
        size = min(size, self.size - offset)
        try:
            data = os.pread(self._fd, size, offset)
            while len(data) < size and (part := os.pread(self._fd, size - len(data), offset + len(data))):
                data += part
        except OSError as error:
            raise Damage(offset, f"the file cannot be read: {error.strerror}") from None
        return data


_REOPENING = threading.Lock()


def _open(path: str) -> tuple[int, os.stat_result]:
    # Not blocking: to open a pipe is to wait for who writes to it.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "no regular file")
    return fd, found


def most_stored(size: int) -> int:
    """What ``size`` bytes take compressed where they do not compress at all."""
    return size + (size >> 6) + 1024


class Fields:
    """Numbers and strings one after another in ``data``, which begins at byte ``base`` of the file.

    Everything that does not fit raises :class:`Damage` with the offset in the file (for data that was
    decompressed: where its compressed form begins).
    """

    def __init__(self, data: bytes, *, base: int, big_endian: bool, fixed_base: bool = False) -> None:
        self.data = data
        self.pos = 0
        self._base = base
        self._order: Any = "big" if big_endian else "little"
        self._fixed = fixed_base

    @property
    def offset(self) -> int:
        """Where ``pos`` is in the file."""
        return self._base if self._fixed else self._base + self.pos

    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.pos

    def take(self, size: int, what: str) -> bytes:
        """The next ``size`` bytes."""
        if size < 0 or size > self.left():
            raise Damage(self.offset, f"{what} of {format_bytes(size)} runs past the end")
        part = self.data[self.pos : self.pos + size]
        self.pos += size
        return part

    def number(self, size: int, what: str) -> int:
        """An unsigned number of ``size`` bytes."""
        return int.from_bytes(self.take(size, what), self._order)

    def string(self, what: str) -> str:
        """A zero-terminated string."""
        end = self.data.find(b"\0", self.pos, self.pos + _MAX_NAME)
        if end < 0:
            raise Damage(self.offset, f"{what} has no end")
        text = self.data[self.pos : end].decode("utf-8", "replace")
        self.pos = end + 1
        return text

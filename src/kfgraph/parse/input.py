"""Where bytes come from: a path, ``-``, a pipe, an open file; .gz, .xz and .zst are seen through."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from kfgraph.errors import InputError, MachineError, NoMatchError, Notice, notice
from kfgraph.model import steps
from kfgraph.model.files import COMPANION_SUFFIX

CHUNK = 1 << 20
_HEAD = 1 << 16
_PIECE = 1 << 14
_ZSTD_PIECE = 1 << 8
"""128 KiB of content can hide in four bytes: 256 bytes give 8 MiB at most."""


class Readable(Protocol):
    """What ``load`` takes besides paths: anything with ``read`` that gives bytes."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


class Input:
    """A stream of bytes, already decompressed, with its first 64 KiB in ``head``.

    ``name`` is what messages call it, ``path`` the file as given (None for a stream), and
    ``is_plain`` whether that file can be read as it stands. A compressed stream that is cut or
    damaged ends where it can be read no further; ``problem`` then says why.
    """

    def __init__(self, given: str | os.PathLike[str] | Readable) -> None:
        self.path: Path | None = None
        self.problem = ""
        self._close = contextlib.ExitStack()
        if isinstance(given, (str, os.PathLike)):
            self.name = os.fspath(given)
            if self.name == "-":
                self.name = "standard input"
                if sys.stdin.isatty():
                    raise InputError("standard input is a terminal", "pipe a trace in, or name a file")
                stream: Readable = sys.stdin.buffer
            else:
                self.path = Path(self.name)
                stream = self._close.enter_context(_open(self.path))
        else:
            self.name = str(getattr(given, "name", "the stream"))
            stream = given
        try:
            start = _read(stream, 6)
            self._stream = _decompressed(start, stream)
            self.is_plain = self.path is not None and isinstance(self._stream, _Joined) and self.path.is_file()
            self.head = self._read(_HEAD)
        except BaseException:
            self._close.close()
            raise
        if not self.head:
            self.close()
            raise InputError(
                f"{self.name}: {self.problem or 'is empty'}",
                "was the recording stopped before it began to write? `kfgraph trace COMMAND` makes a new one",
            )

    def __enter__(self) -> Input:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened here."""
        self._close.close()

    @property
    def n_bytes(self) -> int:
        """How many bytes there are in all; 0 where only reading them tells."""
        return self.path.stat().st_size if self.is_plain and self.path is not None else 0

    def chunks(self) -> Iterator[bytes]:
        """All bytes from the beginning, once, a megabyte or so at a time."""
        steps.begin(f"reading {self.name}", total=self.n_bytes)
        steps.advance(len(self.head))
        yield self.head
        while chunk := self._read(CHUNK):
            steps.advance(len(chunk))
            yield chunk

    def look_on(self) -> bool:
        """A megabyte more in ``head``, before ``chunks``: whether there was more."""
        more = self._read(CHUNK)
        self.head += more
        return bool(more)

    @contextlib.contextmanager
    def as_file(self) -> Iterator[Path]:
        """A plain file with these bytes: the file itself, or a temporary copy for the time of the block."""
        if self.is_plain and self.path is not None:
            yield self.path
            return
        import tempfile

        with tempfile.TemporaryDirectory(prefix="kfgraph-", ignore_cleanup_errors=True) as folder:
            copy = Path(folder, "trace.dat")
            try:
                with copy.open("wb") as file:
                    for chunk in self.chunks():
                        file.write(chunk)
            except OSError as error:
                raise MachineError(
                    f"{self.name}: cannot be unpacked into {folder}: {error.strerror}",
                    "set TMPDIR to a folder with more room",
                ) from None
            yield copy

    @contextlib.contextmanager
    def saying_its_end(self) -> Iterator[None]:
        """What cannot be read for want of what was cut off says that it was."""
        try:
            yield
        except (InputError, NoMatchError) as error:
            if self.problem and self.problem not in error.message:
                error.say(f"{error.message} (the input ends early: {self.problem})")
            raise

    def notices(self) -> list[Notice]:
        """What went wrong while reading."""
        if not self.problem:
            return []
        return [notice("cut-input", why=self.problem)]

    def _read(self, size: int) -> bytes:
        try:
            return _read(self._stream, size)
        except _Cut as cut:
            self.problem = str(cut)
            return cut.before
        except InputError as error:
            error.say(f"{self.name}: {error.message}")
            raise


class _Cut(Exception):
    """A compressed stream ends early; ``before`` is what came before that in the same read."""

    def __init__(self, why: str, before: bytes = b"") -> None:
        super().__init__(why)
        self.before = before


class _Joined:
    """The bytes read to look at the magic number, and the rest of the stream."""

    def __init__(self, start: bytes, stream: Readable) -> None:
        self._start, self._stream = start, stream

    def read(self, size: int = -1, /) -> bytes:
        """As ``Readable``."""
        if self._start:
            part = self._start if size < 0 else self._start[:size]
            self._start = self._start[len(part) :]
            return part
        return self._stream.read(CHUNK if size < 0 else size)


def _open(path: Path) -> IO[bytes]:
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        return path.open("rb")
    except FileNotFoundError:
        from kfgraph.tracefile.recover import restore_hint

        if hint := restore_hint(str(path)):
            raise InputError(f"{path}: no such file; a killed recorder left only its parts", hint) from None
        raise InputError(f"{path}: no such file", "`kfgraph trace COMMAND` records one as ./trace.dat") from None
    except IsADirectoryError:
        inside = path / "trace.dat"
        hint = f"did you mean {inside}?" if inside.is_file() else "name a trace.dat or the text of `trace-cmd report`"
        raise InputError(f"{path}: is a directory", hint) from None
    except PermissionError:
        raise InputError(f"{path}: permission denied", f"`sudo chown $USER {path}` makes it yours") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be opened: {error}", "") from None


def _read(stream: Readable, size: int) -> bytes:
    """``size`` bytes unless the stream ends (a pipe gives less at a time)."""
    parts: list[bytes] = []
    left = size
    while left > 0:
        try:
            part = stream.read(left)
        except _Cut as cut:
            raise _Cut(str(cut), b"".join(parts)) from None
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}", "") from None
        if isinstance(part, str):
            raise InputError("the file object returns text, not bytes", 'open it in binary mode: open(path, "rb")')
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _decompressed(start: bytes, stream: Readable) -> Readable:
    joined = _Joined(start, stream)
    for magic, kind in ((b"\x1f\x8b", _Gzip), (b"\xfd7zXZ\x00", _Xz), (b"\x28\xb5\x2f\xfd", _Zstd)):
        # A file of so few bytes is cut in its magic number.
        if start.startswith(magic) or (2 <= len(start) < len(magic) and magic.startswith(start)):
            return _Unpacked(joined, kind)
    return joined


class _Unpacked:
    """A compressed stream as its content; members may follow one another."""

    def __init__(self, stream: Readable, kind: type[_Gzip] | type[_Xz] | type[_Zstd]) -> None:
        self._stream, self._kind = stream, kind
        self._member: _Gzip | _Xz | _Zstd | None = None
        self._over = False

    def read(self, size: int, /) -> bytes:
        """As ``Readable``; a cut or damaged stream raises ``_Cut`` once, behind all that can be read."""
        while not self._over:
            data = b""
            if self._member is None or self._member.eof:
                # Between members, and at the end: zeros are padding.
                data = self._member.rest.lstrip(b"\0") if self._member else b""
                data = data or self._stream.read(_PIECE)
                if not data.strip(b"\0"):
                    self._over = not data
                    continue
                self._member = self._kind()
            elif self._member.hungry:
                data = self._stream.read(_PIECE)
                if not data:
                    self._over = True
                    raise _Cut("its compressed data is cut")
            try:
                content = self._member.unpack(data, size)
            except Exception as error:
                # zlib.error, LZMAError, ZstdError: neither has a common base, and two of the three are optional.
                self._over = True
                raise _Cut(f"its compressed data is damaged: {error}") from None
            if content:
                return content
        return b""


class _Gzip:
    """One gzip member."""

    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(wbits=31)

    def unpack(self, data: bytes, limit: int) -> bytes:
        """What ``data`` and what was held back before give, at most ``limit`` bytes."""
        return self._inner.decompress(self._inner.unconsumed_tail + data, limit)

    @property
    def hungry(self) -> bool:
        """It gives no more without input."""
        return not self._inner.unconsumed_tail

    @property
    def eof(self) -> bool:
        """The member is over."""
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        """Input behind the member."""
        return self._inner.unused_data


class _Xz:
    """One xz stream; as ``_Gzip``."""

    def __init__(self) -> None:
        import lzma

        self._inner = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=256 << 20)

    def unpack(self, data: bytes, limit: int) -> bytes:
        return self._inner.decompress(data, limit)

    @property
    def hungry(self) -> bool:
        return self._inner.needs_input

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data


class _Zstd:
    """One zstd frame; as ``_Gzip``. Its output has no limit of its own, so input comes in small pieces."""

    def __init__(self) -> None:
        import zstandard

        self._inner = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        self._held = b""

    def unpack(self, data: bytes, limit: int) -> bytes:
        data = self._held + data
        self._held = data[_ZSTD_PIECE:]
        return self._inner.decompress(data[:_ZSTD_PIECE])

    @property
    def hungry(self) -> bool:
        return not self._held

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data + self._held


def companion_of(path: Path | None) -> Path | None:
    """The companion file beside a trace, be it compressed since or a link; None if there is none."""
    if path is None:
        return None
    candidates = []
    for place in (path, path.resolve()) if path.is_symlink() else (path,):
        candidates.append(Path(f"{place}{COMPANION_SUFFIX}"))
        if place.suffix in (".gz", ".xz", ".zst"):
            candidates.append(Path(f"{place.with_suffix('')}{COMPANION_SUFFIX}"))
    return next((file for file in candidates if file.is_file()), None)

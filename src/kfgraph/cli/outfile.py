"""A file that a command writes: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from kfgraph.errors import MachineError, UsageError

_TRACE_MAGIC = b"\x17\x08\x44tracing"


@contextlib.contextmanager
def writing(path: str | None, *, binary: bool = False) -> Iterator[IO[bytes]]:
    """A binary stream to ``path``; None and ``-`` are standard output.

    A regular file is written beside its place and put there when all is written: what was there before stays until
    then, and stays if that fails. A device or a pipe is written to as it comes. ``.gz`` at its end: compressed.

    Raises:
        UsageError: ``path`` is a trace, or ``binary`` output would go to a terminal.
        MachineError: it cannot be written.
    """
    if path is None or path == "-":
        if binary and sys.stdout.isatty():
            raise UsageError("this is a binary format, which a terminal cannot show", "-o FILE")
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with _opened(Path(path)) as stream:
            if not path.lower().endswith(".gz"):
                yield stream
                return
            import gzip

            with gzip.GzipFile(filename="", fileobj=stream, mode="wb", mtime=0, compresslevel=6) as packed:
                yield packed  # type: ignore[misc]
    except OSError as problem:
        if isinstance(problem, BrokenPipeError):
            raise
        raise MachineError(f"cannot write {path}: {problem.strerror or problem}", "-o FILE writes elsewhere") from None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = 0
    if mode and not stat.S_ISREG(mode):
        with path.open("wb") as stream:
            yield stream
        return
    target = Path(os.path.realpath(path))
    if mode:
        with target.open("rb") as old:
            if old.read(len(_TRACE_MAGIC)) == _TRACE_MAGIC:
                raise UsageError(f"{path} is a trace: it would be lost", "-o FILE writes elsewhere")
    number, name = tempfile.mkstemp(prefix=".kfgraph-", dir=target.parent)
    draft = Path(name)
    try:
        with os.fdopen(number, "wb") as stream:
            yield stream
        draft.chmod(stat.S_IMODE(mode) if mode else 0o666 & ~_umask())
        _give_to_caller(draft)
        draft.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _give_to_caller(path: Path) -> None:
    from kfgraph.capture.output import give_to_caller

    give_to_caller(path)

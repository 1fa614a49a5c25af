"""Bytes or text -> Trace: ``load``, and the one list of readers."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kfgraph import passes
from kfgraph.errors import InputError, NoMatchError, UsageError
from kfgraph.parse.input import Input, Readable, companion_of
from kfgraph.passes import Given

if TYPE_CHECKING:
    from kfgraph.model.trace import Trace
    from kfgraph.parse.plaintext import PlainText

__all__ = ["READERS", "Reader", "load"]


@dataclass(frozen=True, eq=False, repr=False)
class Reader:
    """One way to read.

    ``sniff(head)`` says from the first 64 KiB whether this reader is for the input, and
    ``load(source, buffer)`` reads it. Text is looked at and read as plain text, see :mod:`kfgraph.parse.plaintext`.
    """

    name: str
    reads: str
    sniff: Callable[[bytes], bool]
    load: Callable[[Input | PlainText, str | None], Trace]


# A reader is imported when there is something for it: each brings a loop and tables of its own.
_TRACE_DAT = b"\x17\x08\x44tracing"


def _is_tracedat(head: bytes) -> bool:
    return head.startswith(_TRACE_DAT)


def _is_report(head: bytes) -> bool:
    from kfgraph.parse import report

    return _is_tracedat(head) or report.sniff(head)


def _is_ftrace(head: bytes) -> bool:
    from kfgraph.parse import ftrace

    return ftrace.sniff(head)


def _load_dat(source: Input | PlainText, buffer: str | None) -> Trace:
    from kfgraph.parse import tracedat

    assert isinstance(source, Input)
    with source.as_file() as path:
        trace = tracedat.read(path, buffer=buffer, name=source.name)
    return replace(trace, notices=(*source.notices(), *trace.notices))


def _load_report(source: Input | PlainText, buffer: str | None) -> Trace:
    if isinstance(source, Input):
        from kfgraph.parse import rawreport

        return rawreport.load(source, buffer=buffer)
    from kfgraph.parse import report

    return _load_function_text(source, "report") or report.load(source, buffer=buffer)


def _load_ftrace(source: Input | PlainText, buffer: str | None) -> Trace:
    from kfgraph.parse import ftrace

    if buffer:
        raise NoMatchError(f"{source.name}: this text has no named buffers", "leave --buffer-name out")
    return _load_function_text(source, "ftrace") or ftrace.load(source)


def _load_function_text(source: Input | PlainText, reader: str) -> Trace | None:
    """The trace, if this is a text of the plain function tracer. Few are: the others need not import its reader."""
    from kfgraph.parse.shapes import ARROW

    if isinstance(source, Input) or not ARROW.search(source.head):
        return None
    from kfgraph.parse import function_text

    return function_text.load(source, reader=reader) if function_text.is_text(source.head) else None


READERS: list[Reader] = [
    Reader("dat", "trace.dat, versions 6 and 7", _is_tracedat, _load_dat),
    Reader(
        "report",
        "the text of `trace-cmd report`, and a trace.dat by running trace-cmd on it",
        _is_report,
        _load_report,
    ),
    Reader("ftrace", "the tracefs file `trace` under function_graph, `perf ftrace` text", _is_ftrace, _load_ftrace),
]
"""Every reader, the preferred one first."""

_OTHERS = (
    (b"PERFILE2", "a perf.data file, which perf reads", "`perf ftrace` and `trace-cmd record` make what kfgraph reads"),
    (b"\x7fELF", "an ELF file (a program or a module), not a trace of it", "`kfgraph trace insmod FILE.ko` makes one"),
    (b"BZh", "compressed with bzip2", "unpack it first; gzip, xz and zstd are read as they are"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "unpack it first; gzip, xz and zstd are read as they are"),
    (b"PK\x03\x04", "a zip archive", "unpack it first; gzip, xz and zstd are read as they are"),
)


def load(
    path: str | os.PathLike[str] | Readable,
    *,
    reader: str | None = None,
    buffer: str | None = None,
    modules: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    btf: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
) -> Trace:
    """Read a trace: a file, ``-`` for standard input, or an open binary file or pipe.

    gzip, xz and zstd are seen through. ``reader`` forces one of READERS by name, ``buffer`` names one
    of several trace buffers in a trace.dat (the main one by default). A companion file beside the
    trace (``TRACE.kfgraph.json``) is used where there is one. ``modules`` is a file of a kernel
    module, or several (.ko, .xz, .zst, .gz, or a directory of them): they name functions of modules that were gone when
    the trace was written. ``btf`` is a file with the kernel's types, or several (/sys/kernel/btf/vmlinux, a vmlinux or
    a module with a section .BTF): names and types of arguments and what functions return, where the trace does not
    tell. What cannot be read becomes a Notice as long as there is something that can.
    The columns of the tables are not to be written to: numpy refuses that.

    Raises:
        InputError: not a trace, empty, a directory, missing, damaged beyond use, or a text without a
            function_graph record (a trace.dat without one is a trace of no calls: it may hold marks).
        MachineError: the reader needs a program that is not installed.
        NoMatchError: there is no buffer of that name.
        UsageError: no reader is called ``reader``.
    """
    with _uncollected():
        return _loaded(path, reader, buffer, Given(_paths(modules), _paths(btf)))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles: what a load makes lives on, so that looking for some finds none."""
    ran = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if ran:
            gc.enable()


def _loaded(path: str | os.PathLike[str] | Readable, reader: str | None, buffer: str | None, given: Given) -> Trace:
    with Input(path) as source, source.saying_its_end():
        chosen, text_or_bytes = _reader_for(source, reader)
        trace = chosen.load(text_or_bytes, buffer)
    file = companion_of(source.path)
    if file is not None:
        from kfgraph.parse import companionfile

        trace, given = companionfile.attach(trace, file), replace(given, companion_name=file.name)
    again = _as_typed(source.path, reader, buffer, given)
    trace = replace(trace, meta=replace(trace.meta, again=again))
    return passes.apply(trace, given).read_only()


def _as_typed(path: Path | None, reader: str | None, buffer: str | None, given: Given) -> str:
    """The file and the options, as typed into a shell; ``TRACE`` for what can be read only once."""
    from kfgraph.model.spelling import shell_line

    # Descriptors of this process name nothing in the next one.
    named = path is not None and path.is_file() and not str(path).startswith(("/dev/", "/proc/"))
    words = ["TRACE" if not named else f"./{path}" if str(path).startswith("-") else str(path)]
    options = (("--reader", [reader]), ("--buffer-name", [buffer]), ("--module", given.modules), ("--btf", given.btf))
    words += [word for option, values in options for value in values if value is not None for word in (option, value)]
    return shell_line(words)


def _paths(given: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
    return tuple(os.fspath(one) for one in ([given] if isinstance(given, (str, os.PathLike)) else given))


def _reader_for(source: Input, name: str | None) -> tuple[Reader, Input | PlainText]:
    """The reader, and what it reads: the bytes of a trace.dat, or the plain text of anything else."""
    given: Input | PlainText = source
    if not _is_tracedat(source.head):
        from kfgraph.parse.plaintext import PlainText

        given = PlainText(source)
    if name is not None:
        for reader in READERS:
            if reader.name == name:
                if not reader.sniff(given.head):
                    raise InputError(f"{source.name}: nothing for the {name} reader, which reads {reader.reads}", "")
                return reader, given
        names = ", ".join(reader.name for reader in READERS)
        raise UsageError(f"there is no reader {name!r}", f"the readers are {names}")
    for reader in READERS:
        if reader.sniff(given.head):
            return reader, given
    for magic, what, hint in _OTHERS:
        if source.head.startswith(magic):
            raise InputError(f"{source.name}: {what}", hint)
    _refuse_part(source)
    if not isinstance(given, Input) and given.look_on():
        for reader in READERS:
            if reader.sniff(given.head):
                return reader, given
    raise InputError(
        f"{source.name}: not a trace that kfgraph can read",
        "it reads trace.dat, the text of `trace-cmd report`, the tracefs file `trace`, and `perf ftrace` text",
    )


def _refuse_part(source: Input) -> None:
    """A per-CPU file of a recorder that was killed holds pages, and nothing that describes them.

    Raises:
        InputError: this is one.
    """
    from kfgraph.tracefile.recover import part_of, restore_hint

    main = None if source.path is None else part_of(source.path)
    if main is None:
        return
    problem = f"{source.name}: one CPU's part of a recording that was not finished, without what describes it"
    raise InputError(problem, f"name {main}: its parts are read with it" if main.is_file() else restore_hint(str(main)))

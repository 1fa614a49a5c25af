"""Small files that promise much, or say what no recorder would: each kind once, against what must come of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.tracedat import (
    ENTRY_ID,
    EXIT_ID,
    GONE,
    TEXT,
    Cpu,
    Extra,
    Kernel,
    format_block,
    format_blocks,
    trace_dat,
)
from kfgraph.cli.options import open_trace
from kfgraph.errors import InputError, NoMatchError
from kfgraph.model.trace import Trace
from kfgraph.parse.tracedat import pages, read, reader
from tracedat.twin import plain_loops

F, G = TEXT + 0x100, TEXT + 0x200
SYMBOLS = {F: ("T", "f", ""), G: ("t", "g", ""), TEXT + 0x300: ("T", "_etext", "")}
NINES = b"9" * 5_000
"""More digits than int() takes."""


def one_call(kernel: Kernel | None = None, number: int = 0) -> Cpu:
    """f, 1 us."""
    cpu = Cpu(kernel or Kernel(), number)
    cpu.entry(1_000, 42, F, 0)
    cpu.exit(2_000, 42, F, 0, 1_000, 2_000)
    return cpu


def write(path: Path, *cpus: Cpu, version: int = 7, compression: str = "none", **extra: object) -> Path:
    """A trace of these CPUs, or of one call."""
    file = path / "trace.dat"
    kernel = cpus[0].kernel if cpus else Kernel()
    file.write_bytes(
        trace_dat(
            kernel,
            cpus or [one_call(kernel)],
            symbols=SYMBOLS,
            extra=Extra(**extra),  # type: ignore[arg-type]
            version=version,
            compression=compression,
        )
    )
    return file


def checked(path: Path) -> Trace:
    """The trace, which holds together."""
    trace = read(path)
    trace.check()
    return trace


def codes(trace: Trace) -> list[str]:
    return [notice.code for notice in trace.notices]


def exit_block(**sizes: int) -> bytes:
    """The exit's format with fields that are arrays of other sizes."""
    fields = [
        (ctype, f"{name}[2]" if name in sizes else name, sizes.get(name, size))
        for ctype, name, size in Kernel().exit_fields()
    ]
    return format_block("funcgraph_exit", EXIT_ID, fields)


@pytest.mark.parametrize("block", [b"name: x\nID: " + NINES, b"name: x\nID: 9\n\tfield:int a;\toffset:" + NINES + b";"])
@pytest.mark.parametrize("version", [6, 7])
def test_numbers_with_thousands_of_digits_in_formats(block: bytes, version: int, tmp_path: Path) -> None:
    path = write(tmp_path, version=version, instead={17: format_blocks(Kernel(), block)})
    assert checked(path).calls.duration_ns.tolist() == [1_000]


def test_numbers_with_thousands_of_digits_elsewhere(tmp_path: Path) -> None:
    stats = (2, b"overrun: " + NINES + b"\noverrun: 7\n\0")
    gone = Cpu(Kernel(), 0)
    gone.entry(1_000, 42, GONE, 0)
    modules = b"m %b 0 - Live 0x%b\nwidget 4096 0 - Live 0x%x\nn 1 0 - Live 0x%b\n" % (NINES, NINES, GONE, NINES)
    comms = b"%b long\n42 short\n" % NINES
    sections = {25: modules}
    instead = {21: Kernel().pack("Q", len(comms)) + comms}
    trace = checked(write(tmp_path, gone, options=[stats], sections=sections, instead=instead))
    assert trace.meta.n_overrun == 7
    assert trace.symbols.label(1) == f"0x{GONE:x} [widget]"
    assert trace.tasks.tasks[0].comm == "short"


@pytest.mark.parametrize("size", [0, 8, 12, 1 << 33, int(NINES[:15])])
def test_arguments_of_any_size_are_the_rest_of_the_record(size: int, tmp_path: Path) -> None:
    kernel = Kernel(args=True)
    cpu = Cpu(kernel, 0)
    cpu.entry(1_000, 42, F, 0, args=(1, 2))
    fields = kernel.entry_fields(retaddr=False)
    block = format_block("funcgraph_entry", ENTRY_ID, [*fields[:-1], ("unsigned long", "args[]", size)])
    trace = checked(write(tmp_path, cpu, instead={17: format_blocks(kernel, block)}))
    assert trace.calls.args is not None
    assert trace.calls.args.text(0) == "0x1, 0x2"


@pytest.mark.parametrize("name", ["func", "depth", "calltime", "rettime", "overrun"])
@pytest.mark.parametrize("size", [0, 8, 12, 16])
def test_an_array_is_no_number(
    name: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, instead={17: format_blocks(Kernel(), exit_block(**{name: size}))})
    found = []
    for loops in ((pages, reader.streams), plain_loops()):
        monkeypatch.setattr(reader, "pages", loops[0])
        monkeypatch.setattr(reader, "streams", loops[1])
        trace = checked(path)
        found.append({key: column.tolist() for key, column in trace.calls.columns()})
        assert ("damaged-section" in codes(trace)) == (name != "overrun")
    assert found[0] == found[1]


@pytest.mark.parametrize("spoil", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_a_leftover_that_cannot_be_opened(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    path = write(tmp_path, version=6)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"options  \0") - 4])
    (tmp_path / "trace.dat.cpu0").write_bytes(one_call().pages())
    spoil(tmp_path / "trace.dat.cpu1")
    trace = checked(path)
    assert trace.calls.duration_ns.tolist() == [1_000]
    assert {"leftover-files", "leftover-unread"} <= set(codes(trace))


@pytest.mark.parametrize("keep", [0, 3, 300, 1_000])
@pytest.mark.parametrize(("version", "compression"), [(7, "none"), (7, "zstd")])
def test_formats_that_break_off_are_told(keep: int, version: int, compression: str, tmp_path: Path) -> None:
    formats = format_blocks(Kernel())[:keep]
    path = write(tmp_path, version=version, compression=compression, instead={17: formats})
    trace = checked(path)
    notice = next(n for n in trace.notices if n.code == "damaged-section")
    assert "the first: event formats: " in notice.text
    at = int(notice.text.rsplit("byte ", 1)[1].rstrip(")"))
    assert 0 < at < path.stat().st_size
    if compression == "none" and keep:
        begin = path.read_bytes().index(formats)
        assert begin <= at <= begin + keep
    assert "unknown-event" in codes(trace)


def test_formats_of_other_events_that_break_off_are_told(tmp_path: Path) -> None:
    cpu = one_call()
    cpu.event(3_000, 42, 300, bytes(8))
    events = (("sched", "one", 300, [("int", "n", 4)]), ("sched", "two", 301, [("int", "n", 4)]))
    whole = read(write(tmp_path, cpu, events=events))
    assert (whole.marks.names, whole.notices) == (("one",), ())
    section = trace_dat(Kernel(), [cpu], symbols=SYMBOLS, extra=Extra(events=events))
    section = section[section.index(b"sched\0") - 4 :][:200]
    trace = checked(write(tmp_path, cpu, instead={18: section}))
    assert {"damaged-section", "unknown-event"} <= set(codes(trace))


def test_no_guess_at_the_tracer_where_the_formats_are_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = Cpu(Kernel(), 0)
    marks.event(1_000, 42, 300, bytes(4))
    events = (("sched", "one", 300, [("int", "n", 4)]),)
    for extra, guesses in (({"events": events}, True), ({"instead": {17: b""}}, False)):
        file = write(tmp_path, marks, **extra)
        with pytest.raises(NoMatchError, match="no function call") as caught:
            open_trace(str(file))
        assert ("-p function_graph?" in caught.value.hint) == guesses
        assert ("cannot be read: event formats: " in capsys.readouterr().err) == (not guesses)


def test_common_fields_elsewhere_are_refused_with_the_byte(tmp_path: Path) -> None:
    block = format_block("funcgraph_entry", ENTRY_ID, Kernel().entry_fields(retaddr=False))
    moved = block.replace(b"common_pid;\toffset:4", b"common_pid;\toffset:8")
    path = write(tmp_path, instead={17: format_blocks(Kernel(), moved)})
    with pytest.raises(InputError, match="common_pid is 4 bytes at 8 of a record") as caught:
        read(path)
    at = int(caught.value.message.rsplit("byte ", 1)[1].rstrip(")"))
    assert path.read_bytes()[at + 8 :].startswith(moved)


def test_a_comm_that_is_no_text_stays_readable(tmp_path: Path) -> None:
    comms = b"42 \xff\xfe caf\xc3\xa9\n7 <...>\n"
    trace = checked(write(tmp_path, instead={21: Kernel().pack("Q", len(comms)) + comms}))
    assert trace.tasks.tasks[0].comm == "\\xff\\xfe café"

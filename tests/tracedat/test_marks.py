"""The texts of marks, read when they are asked for: the file is held, found again, and must be what it was."""

from __future__ import annotations

import contextlib
import copy
import gc
import gzip
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.tracedat import TEXT, Cpu, Extra, Kernel, trace_dat
from kfgraph import load
from kfgraph.errors import InputError
from kfgraph.parse.tracedat import read
from kfgraph.tracefile.contents import read_contents

F = TEXT + 0x100
SYMBOLS = {F: ("T", "f", ""), TEXT + 0x300: ("T", "_etext", "")}
EVENTS = (("sched", "one", 300, [("int", "n", 4)]),)
TEXTS = [f"n={i}" for i in range(50)]


def marked(first: int = 0) -> Cpu:
    cpu = Cpu(Kernel(), 0)
    cpu.entry(1_000, 42, F, 0)
    for i in range(50):
        cpu.event(2_000 + i, 42, 300, Kernel().pack("i", first + i))
    return cpu


def content(first: int = 0, compression: str = "zstd") -> bytes:
    return trace_dat(
        Kernel(), [marked(first)], symbols=SYMBOLS, extra=Extra(events=EVENTS), compression=compression
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "trace.dat"
    file.write_bytes(content())
    return file


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def open_files(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except OSError:
            continue
    return [name for name in found if name.startswith((str(folder), "/tmp/kfgraph-"))]


@pytest.mark.usefixtures("no_collection")
def test_the_file_is_open_as_long_as_the_trace_is_there(path: Path) -> None:
    trace = load(path)
    assert len(open_files(path.parent)) == 1
    assert trace.marks.text[7] == "n=7"
    del trace
    assert not open_files(path.parent)
    with gzip.open(path.with_suffix(".gz"), "wb") as packed:
        packed.write(content())
    trace = load(path.with_suffix(".gz"))
    assert list(trace.marks.text) == TEXTS
    del trace
    assert not open_files(path.parent)


@pytest.mark.usefixtures("no_collection")
def test_what_cannot_be_read_is_not_held_open(path: Path) -> None:
    whole = path.read_bytes()
    for damaged in (whole[:10], whole[:200], b"", whole.replace(b"common_pid;\toffset:4", b"common_pid;\toffset:8")):
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):
            read(path)
        assert not open_files(path.parent)
    path.write_bytes(trace_dat(Kernel(), [Cpu(Kernel(), 0)], symbols=SYMBOLS))
    trace = read(path)
    assert not open_files(path.parent)
    assert not len(trace.marks)


@pytest.mark.parametrize("again", [lambda trace: pickle.loads(pickle.dumps(trace)), copy.deepcopy, copy.copy])
def test_a_copy_of_a_trace_has_its_texts(again, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    trace = load(path.name)
    assert trace.marks.text[3] == "n=3"
    other = again(trace)
    monkeypatch.chdir("/")
    other.check()
    assert list(other.marks.text) == TEXTS
    assert list(again(other).marks.text) == TEXTS
    assert other.symbols.names == trace.symbols.names
    assert other.calls.start_ns.tolist() == trace.calls.start_ns.tolist()


def test_a_copy_of_an_unpacked_file_holds_the_texts(path: Path) -> None:
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(content()))
    state = pickle.dumps(load(packed))
    packed.unlink()
    assert list(pickle.loads(state).marks.text) == TEXTS


def test_another_process_reads_the_texts(path: Path, tmp_path: Path) -> None:
    pickled = tmp_path / "trace.pickle"
    pickled.write_bytes(pickle.dumps(load(path)))
    program = "import pickle, sys; print(*pickle.load(open(sys.argv[1], 'rb')).marks.text[2:4])"
    done = subprocess.run([sys.executable, "-c", program, pickled], capture_output=True, text=True, check=True)
    assert done.stdout == "n=2 n=3\n"


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_file_that_was_written_over_gives_no_wrong_texts(compression: str, path: Path) -> None:
    path.write_bytes(content(compression=compression))
    trace = load(path)
    state = pickle.dumps(trace)
    os.utime(path, ns=(0, 0))
    for other in (content(first=500, compression=compression), path.read_bytes()[:100]):
        path.write_bytes(other)
        for each in (trace, pickle.loads(state)):
            with pytest.raises(InputError, match=r"is not what it was when it was loaded \(at byte \d+\)") as caught:
                each.marks.text[0]
            assert str(path) in caught.value.message
            with pytest.raises(InputError, match=r"is not what it was when it was loaded \(at byte \d+\)"):
                each.marks.field("one", "n")
    path.unlink()
    with pytest.raises(InputError, match="is not what it was"):
        pickle.loads(state).marks.text[0]


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
def test_a_chunk_that_was_damaged_since_gives_an_error_though_the_file_has_its_time(
    compression: str, path: Path
) -> None:
    path.write_bytes(content(compression=compression))
    trace = load(path)
    chunk = read_contents(path).buffer_named(None).cpus[0].chunks[0]
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(chunk.offset)
        file.write(bytes(chunk.stored))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    said = rf"{path.name}: the record of an event cannot be read: .* \(at byte {chunk.offset}\)"
    with pytest.raises(InputError, match=said):
        trace.marks.text[0]
    with pytest.raises(InputError, match=said):
        trace.marks.field("one", "n")


def test_a_file_that_was_removed_or_replaced_is_still_held(path: Path) -> None:
    trace = load(path)
    path.unlink()
    path.write_bytes(content(first=500))
    assert list(trace.marks.text) == TEXTS
    # A copy would find the other file: it takes the texts along.
    assert list(pickle.loads(pickle.dumps(trace)).marks.text) == TEXTS


def test_files_of_a_running_recorder_may_grow(tmp_path: Path) -> None:
    path = tmp_path / "trace.dat"
    whole = trace_dat(Kernel(), [], symbols=SYMBOLS, version=6, extra=Extra(events=EVENTS))
    path.write_bytes(whole[: whole.index(b"options  \0") - 4])
    part = tmp_path / "trace.dat.cpu0"
    part.write_bytes(marked().pages())
    trace, late = load(path), load(path)
    with part.open("ab") as file:
        file.write(bytes(4096))
    assert list(trace.marks.text) == TEXTS
    part.write_bytes(b"")
    with pytest.raises(InputError, match="is not what it was"):
        late.marks.text[0]
    with pytest.raises(InputError, match="is not what it was"):
        late.marks.field("one", "n")

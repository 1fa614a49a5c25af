"""Whether what a recorder wrote can be loaded, as a recording is judged before it is put in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.tracedat import TEXT, Cpu, Kernel, trace_dat
from kfgraph.capture.verify import Verdict, verify

F = TEXT + 0x100


def cpu(*, with_data: bool = True) -> Cpu:
    made = Cpu(Kernel(), 0)
    if with_data:
        made.entry(1_000, 42, F, 0)
        made.exit(2_000, 42, F, 0, 1_000, 2_000)
    return made


def written(path: Path, *, with_data: bool = True, version: int = 7) -> bytes:
    content = trace_dat(Kernel(), [cpu(with_data=with_data)], symbols={F: ("T", "f", "")}, version=version)
    path.write_bytes(content)
    return content


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace.dat"


@pytest.mark.parametrize("version", [6, 7])
def test_a_whole_file_lacks_nothing(version: int, path: Path) -> None:
    written(path, version=version)
    assert verify(path) == Verdict(usable=True)


def test_a_file_without_data_is_sound_and_empty(path: Path) -> None:
    written(path, with_data=False)
    assert verify(path) == Verdict(usable=False, lacks="no CPU has data in it", empty=True)


@pytest.mark.parametrize("version", [6, 7])
def test_a_cut_file_says_what_it_lacks(version: int, path: Path) -> None:
    content = written(path, version=version)
    # Version 7 ends with the list of its parts, version 6 with the data.
    path.write_bytes(content[: -40 if version == 7 else -100])
    found = verify(path)
    assert found.usable and not found.empty
    assert found.lacks.startswith("places where the file ends early" if version == 6 else "lists of file sections")


def test_parts_beside_a_file_are_not_in_it(path: Path) -> None:
    content = written(path, version=6)
    path.write_bytes(content[: content.index(b"options  \0") - 4])
    path.with_name("trace.dat.cpu0").write_bytes(cpu().pages())
    found = verify(path)
    assert not found.usable and not found.empty and "the recorder did not finish this file" in found.lacks


@pytest.mark.parametrize("content", [None, b"", b"text", b"\x17\x08\x44tracing...", b"\x17\x08\x44tracing7\0\0\x08"])
def test_what_is_no_trace_is_of_no_use(content: bytes | None, path: Path) -> None:
    if content is not None:
        path.write_bytes(content)
    found = verify(path)
    assert not found.usable and not found.empty and str(path) in found.lacks

"""What goes over a trace piece by piece gives the same in pieces of any size."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pyarrow.parquet
import pytest

import kfgraph as api
from export import decoders
from kfgraph.export import tracks
from kfgraph.export.exporters import EXPORTERS, export
from kfgraph.model.trace import Trace
from running import kfgraph

REPOSITORY = Path(__file__).resolve().parents[2]
TRACES = ("examples/failing/busy_unmount.dat", "examples/failing/retry.dat", "tests/fixtures/traces/cut/6.12-lost.dat")
LINES = (
    "show {} --all", "show {} --max-rows 30", "show {} --merge", "show {} --json", "top {} --json --limit 0",
    "top {} --paths 5", "errors {} --json --unsure", "syscalls {} --json", "why {} --json",
)  # fmt: skip
SIZES = {
    "export.jsonl": "_CHUNK", "analyze.row_budget": "_PART", "analyze.paths": "_PART", "analyze.repeats": "_PART",
    "model.tree": "_PART", "render.tree": "_CHUNK",
}  # fmt: skip
CHUNKS = ("export.chrome", "export.callrows", "export.parquet", "export.tracks")


@pytest.fixture(params=[1, 3, 64])
def small(request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """Puts pieces of this size everywhere, when asked to."""
    patch = pytest.MonkeyPatch()
    chunks = tracks.chunks

    def go() -> None:
        for module, name in SIZES.items():
            found = import_module(f"kfgraph.{module}")
            assert getattr(found, name) > 64
            patch.setattr(found, name, request.param)
        for module in CHUNKS:
            patch.setattr(import_module(f"kfgraph.{module}"), "chunks", lambda n, size=0: chunks(n, request.param))

    yield go
    patch.undo()


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("trace", TRACES)
def test_commands(line: str, trace: str, small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    words = line.format(trace).split()
    whole = in_one_piece(*words)
    small()
    assert kfgraph(*words) == whole and (whole[1] or whole[0])


@cache
def in_one_piece(*words: str) -> tuple[int, str, str]:
    """What the command prints, before pieces are made small."""
    return kfgraph(*words)


def written(trace: Trace, name: str) -> object:
    stream = io.BytesIO()
    notices = export(trace, name, stream, min_ns=0) if name in PRUNES else export(trace, name, stream)
    if name == "parquet":
        return pyarrow.parquet.read_table(stream).to_pylist(), notices
    if name == "perfetto":  # numbers have as many bytes as a piece needs
        return decoders.perfetto(stream.getvalue()), notices
    return stream.getvalue(), notices


@cache
def loaded(path: str) -> Trace:
    return api.load(REPOSITORY / path)


@cache
def written_in_one_piece(path: str, name: str) -> object:
    """What the exporter writes, before pieces are made small."""
    return written(loaded(path), name)


PRUNES = {exporter.name for exporter in EXPORTERS if exporter.prunes}


@pytest.mark.parametrize("name", [exporter.name for exporter in EXPORTERS])
@pytest.mark.parametrize("path", TRACES)
def test_exports(name: str, path: str, small) -> None:
    whole = written_in_one_piece(path, name)
    small()
    assert written(loaded(path), name) == whole

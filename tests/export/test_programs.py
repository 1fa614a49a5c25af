"""Files opened by the programs that they are for."""

from __future__ import annotations

import io
import re
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from export.oracle import stack_times
from kfgraph.export.exporters import export
from kfgraph.model.calls import Flag
from kfgraph.parse import load
from running import kfgraph

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "insmod-fail19.dat"


def test_callgrind_annotate_finds_the_same_times(program, tmp_path) -> None:
    annotate = program("callgrind_annotate", "valgrind")
    path = tmp_path / "out.callgrind"
    assert kfgraph("export", EXAMPLE, "-o", path)[0] == 0
    done = subprocess.run([annotate, "--threshold=100", "--show-percs=no", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = Counter()
    for line in done.stdout.split("file:function")[1].splitlines():
        match = re.match(r"\s*([\d,]+)\s+(?:vmlinux|kvm):(\S+(?: \[kvm\])?)", line)
        if match and match[1] != "0":
            found[match[2]] = int(match[1].replace(",", ""))
    expected: Counter[str] = Counter()
    for stack, ns in stack_times(load(EXAMPLE)).items():
        expected[stack[-1]] += ns
    # The times of these are what it took to set probes.
    assert expected.pop("blocking_notifier_call_chain") + expected.pop("blocking_notifier_call_chain_robust") > 5e8
    assert len(found) == 414 and found == expected


def test_graphviz_draws_it(program, tmp_path) -> None:
    dot = program("dot", "graphviz")
    code, out, err = kfgraph("export", EXAMPLE, "-f", "dot", "--min", "5%")
    assert code == 0
    assert re.fullmatch(r"kfgraph: \d+ functions and \d+ edges with less than 2\.948 ms left out \(--min 0\)\n", err)
    done = subprocess.run([dot, "-Tsvg"], input=out, capture_output=True, text=True)
    assert done.returncode == 0 and "<svg" in done.stdout and "load_module" in done.stdout
    assert "load_module" in out and "find_sec" not in out
    assert "find_sec" in kfgraph("export", EXAMPLE, "-f", "dot", "--min", "0")[1]


def test_parquet_has_every_column(tmp_path) -> None:
    path = tmp_path / "calls.parquet"
    name = EXAMPLE.parent / "insmod-foo-fail19.dat"
    assert kfgraph("export", name, "-o", path)[0] == 0
    table = pyarrow.parquet.read_table(path)
    rows = table.to_pylist()
    trace = load(name)
    # Without the launcher's calls, as everywhere.
    assert len(rows) == int((~trace.calls.has(Flag.PRE_EXEC)).sum())
    (probe,) = [row for row in rows if row["function"] == "foo_probe"]
    assert (probe["module"], probe["comm"], probe["ret"], probe["error"]) == ("foo", "insmod", "-19", "ENODEV")
    by_row = {row["row"]: row for row in rows}
    assert by_row[probe["parent"]]["function"] == "foo_init" and probe["duration_ns"] == 834_724
    assert str(table.schema.field("function").type).startswith("dictionary")


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch, tmp_path) -> None:
    import builtins

    real = builtins.__import__

    def none(name: str, *args: object, **more: object) -> object:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", none)
    code, out, err = kfgraph("export", EXAMPLE, "-o", tmp_path / "a.parquet")
    assert (code, out) == (3, "") and err.endswith("  hint: pip install kfgraph[parquet]\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("least, drawn", [("0", True), ("1us", True), ("1s", False)])
def test_min_is_a_time_too(least, drawn) -> None:
    out = kfgraph("export", EXAMPLE, "-f", "mermaid", "--min", least)[1]
    assert ("load_module" in out) is drawn


def fill_free_memory(byte: int) -> None:
    """What Arrow allocates next holds this byte, for the most part."""
    sizes = [1 << k for k in range(6, 22)] + [40_000, 100_000]
    held = [pyarrow.allocate_buffer(size) for size in sizes for _ in range(20 if size < 1 << 17 else 4)]
    for buffer in held:
        np.frombuffer(buffer, np.uint8)[:] = byte


@pytest.mark.parametrize("file", [EXAMPLE, EXAMPLE.parent / "failing/param_set.dat"])
def test_parquet_writes_nothing_that_was_left_in_memory(file) -> None:
    """Of a dictionary that holds a name twice, Arrow writes more than it fills."""
    trace = load(file)
    assert len(set(trace.symbols.modules)) < len(trace.symbols.modules)
    written = set()
    for byte in (0, 0xA5, 0x5A):
        fill_free_memory(byte)
        stream = io.BytesIO()
        export(trace, "parquet", stream)
        written.add(stream.getvalue())
    assert len(written) == 1

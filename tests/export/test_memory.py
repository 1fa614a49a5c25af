"""How much memory an export takes beside the trace: 110 bytes a call with it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from make_trace import make

import kfgraph
from kfgraph.analyze.weights import weighted


def peak_beside(path: Path, n_events: int) -> tuple[int, int, int]:
    """(calls, bytes of their table, the most memory that the tree of stacks takes beside it)."""
    path.write_bytes(make(n_events))
    trace = kfgraph.load(str(path))
    columns = [getattr(trace.calls, name) for name in trace.calls.declared()]
    tracemalloc.start()
    weighted(trace)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return len(trace.calls), sum(column.nbytes for column in columns if hasattr(column, "nbytes")), peak


def test_the_tree_of_stacks_takes_50_bytes_a_call(tmp_path: Path) -> None:
    (few, _, of_few), (many, table, of_many) = (peak_beside(tmp_path / "a.dat", n) for n in (1_600_000, 3_200_000))
    # What a few pieces take does not grow with the trace.
    each = (of_many - of_few) / (many - few)
    assert 40 < each < 50, f"{each:.1f} bytes a call"
    assert 50 < table / many < 60, f"{table / many:.1f} bytes a call"

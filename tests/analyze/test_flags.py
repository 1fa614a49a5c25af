"""Flags are 32 bits wide wherever they are carried: a table, a tree, a merged tree, folded repeats."""

from __future__ import annotations

import numpy as np
import pytest

import kfgraph
from builder.tables import call, trace_of
from builder.tracedat import dat_of
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.repeats import fold_repeats
from kfgraph.model.calls import CallTable
from kfgraph.model.trace import Trace

HIGH, HIGHEST = 1 << 20, 1 << 31


@pytest.fixture
def trace() -> Trace:
    def f(flags: int) -> object:
        return call("f", 5, call("g", 5, flags=flags), call("h", 5))

    return trace_of([f(HIGH), f(0), f(HIGHEST)])


def test_a_table_has_room_for_them(trace: Trace, tmp_path) -> None:
    assert trace.calls.flags.tolist() == [0, HIGH, 0, 0, 0, 0, 0, HIGHEST, 0]
    assert trace.calls.to_pandas()["flags"].dtype == CallTable.empty().flags.dtype == np.uint32
    path = tmp_path / "trace.dat"
    path.write_bytes(dat_of(trace))
    assert kfgraph.load(path).calls.flags.dtype == np.uint32


def test_a_tree_keeps_them(trace: Trace) -> None:
    # The first node is the task.
    assert call_tree(trace).tree.flags.tolist() == [0, *trace.calls.flags.tolist()]
    assert call_tree(trace, merge=True).tree.flags.tolist() == [0, 0, HIGH | HIGHEST, 0]
    assert call_tree(trace, hide=["h"]).tree.flags.tolist() == [0, 0, HIGH, 0, 0, 0, HIGHEST]


def test_folded_repeats_keep_them() -> None:
    loop = [call("f", 5, flags=HIGHEST if i == 3 else 0) for i in range(9)]
    folded = fold_repeats(call_tree(trace_of([call("top", 5, *loop)])).tree)
    assert np.bitwise_or.reduce(folded.tree.flags) == HIGHEST
    assert len(folded.tree) < 10

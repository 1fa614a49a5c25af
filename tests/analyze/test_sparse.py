"""Columns that few rows have, and a CallTable that has one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.tables import call, trace_of
from kfgraph.model.calls import CallTable, column
from kfgraph.model.sparse import Sparse

DENSE = st.lists(st.sampled_from([0, 0, 0, 5, -1, 70]), max_size=12)


def sparse(values: list[int], blank: int = 0) -> Sparse:
    dense = np.array(values, np.int64)
    rows = np.flatnonzero(dense != blank).astype(np.int32)
    return Sparse(rows, dense[rows], blank)


@given(DENSE, st.data(), st.sampled_from([0, -1]))
def test_it_is_the_dense_column(values: list[int], data: st.DataObject, blank: int) -> None:
    few, n = sparse(values, blank), len(values)
    few.check(n)
    assert few.dense(n).tolist() == values
    rows = data.draw(st.permutations(range(n)))[: data.draw(st.integers(0, n))]
    assert few.at(np.array(rows, np.int32)).tolist() == [values[row] for row in rows]
    taken = few.take(np.array(rows, np.int32))
    taken.check(len(rows))
    assert taken.dense(len(rows)).tolist() == [values[row] for row in rows]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), np.bool_)
    chosen = few.select(mask)
    chosen.check(int(mask.sum()))
    assert chosen.dense(int(mask.sum())).tolist() == [value for value, kept in zip(values, mask, strict=True) if kept]
    there = [value if kept else blank for value, kept in zip(values, mask, strict=True)]
    assert few.where(mask).dense(n).tolist() == there


@given(st.lists(DENSE, min_size=1, max_size=4))
def test_tables_one_after_another(parts: list[list[int]]) -> None:
    whole = Sparse.concat([(len(values), sparse(values)) for values in parts])
    values = [value for part in parts for value in part]
    whole.check(len(values))
    assert whole.dense(len(values)).tolist() == values


@pytest.mark.parametrize(
    ("rows", "values", "rule"),
    [
        ([2, 1], [5, 6], "rows do not ascend"),
        ([1, 1], [5, 6], "rows do not ascend"),
        ([0, 3], [5, 6], "row outside the table"),
        ([-1], [5], "row outside the table"),
        ([1], [5, 6], "not one value a row"),
    ],
)
def test_what_is_no_column_is_said(rows: list[int], values: list[int], rule: str) -> None:
    with pytest.raises(AssertionError, match=rule):
        Sparse(np.array(rows, np.int32), np.array(values, np.int64)).check(3)
    with pytest.raises(AssertionError, match="rows are not int32"):
        Sparse(np.array([0]), np.array([1])).check(3)


@dataclass(frozen=True)
class Waiting(CallTable):
    """A CallTable with one more column: that is the line below."""

    halted_ns: Sparse | None = field(default=None, metadata=column(np.int64, sparse=True))


def test_a_column_of_a_call_table_is_declared_in_one_line() -> None:
    calls = trace_of([call("f", 10, call("g", 5), call("h", 7))]).calls
    table = Waiting(**{f.name: getattr(calls, f.name) for f in fields(CallTable)})
    table.check()
    assert "halted_ns" not in dict(table.columns())
    told = table.with_columns(halted_ns=Sparse(np.array([2], np.int32), np.array([4])))
    told.check()
    assert dict(told.columns())["halted_ns"].tolist() == [0, 0, 4]
    assert told.to_pandas()["halted_ns"].tolist() == [0, 0, 4]
    for column_of, rule in (
        (Sparse(np.array([3], np.int32), np.array([4])), "row outside the table"),
        (Sparse(np.array([2], np.int32), np.array([4.0])), "dtype of halted_ns is float64"),
    ):
        with pytest.raises(AssertionError, match=rule):
            table.with_columns(halted_ns=column_of).check()


def test_columns_of_a_call_table_are_what_is_declared() -> None:
    calls = trace_of([call("f", 10, call("g", 5), retval=3)]).calls
    told = [name for name, kind in CallTable.declared().items() if not name.startswith("caller") and not kind.sparse]
    assert [name for name, _ in calls.columns()] == told
    with pytest.raises(AssertionError, match="column retval has 1 rows, not 2"):
        calls.with_columns(retval=np.zeros(1, np.int64)).check()
    with pytest.raises(AssertionError, match="dtype of caller is int64"):
        calls.with_columns(caller=np.zeros(2, np.int64)).check()
    with pytest.raises(AssertionError, match="column cpu is missing"):
        calls.with_columns(cpu=None).check()


def test_a_loaded_trace_does_not_change_in_its_sparse_columns_either() -> None:
    trace = trace_of([call("f", 10)])
    few = Sparse(np.array([0], np.int32), np.array([4]))
    table = Waiting(**{f.name: getattr(trace.calls, f.name) for f in fields(CallTable)}, halted_ns=few)
    replace(trace, calls=table).read_only()
    for array in (few.rows, few.values):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1

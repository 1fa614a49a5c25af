"""The helpers for arrays say what numpy's own functions say."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kfgraph.model.arrays import among, distinct

numbers = st.lists(st.one_of(st.integers(-3, 12), st.integers(-(1 << 62), 1 << 62)), max_size=30)


@given(numbers, numbers)
def test_among_is_isin(values: list[int], wanted: list[int]) -> None:
    one, other = np.array(values, np.int64), np.array(wanted, np.int64)
    assert among(one, other).tolist() == np.isin(one, other).tolist()


@given(numbers)
def test_distinct_is_unique(values: list[int]) -> None:
    found = distinct(np.array(values, np.int64))
    assert found.tolist() == sorted(set(values)) and found.dtype == np.int64

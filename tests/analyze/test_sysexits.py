"""Errors of system calls out of the columns of their exit events, and out of the text: the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kfgraph
from kfgraph.analyze import sysexits

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def test_columns_of_exit_events_tell_what_their_text_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = kfgraph.load(EXAMPLES / "cat-enoent.dat")
    names = np.array([name.startswith("sys_exit") for name in trace.marks.names])
    exits = np.flatnonzero(names[trace.marks.name]).astype(np.int32)
    monkeypatch.setattr(sysexits, "_MANY", len(exits))
    texts = sysexits.errors_said(trace, exits).tolist()
    assert sorted(error for error in texts if error) == [-2, -2]

    def no_text(text: str) -> int | None:
        raise AssertionError(f"the text {text!r} was read")

    monkeypatch.setattr(sysexits, "_MANY", 0)
    monkeypatch.setattr(sysexits, "value_said", no_text)
    assert sysexits.errors_said(trace, exits).tolist() == texts
    # Of a part of them, in another order.
    assert sysexits.errors_said(trace, exits[::-3]).tolist() == texts[::-3]


def test_a_value_of_32_bits_has_its_sign_again() -> None:
    values = np.array([0xFFFF_FFFE, 0x7FFF_FFFF, -2, 3, 0x1_0000_0000], np.int64)
    assert sysexits._signed(values).tolist() == [-2, 0x7FFF_FFFF, -2, 3, 0x1_0000_0000]

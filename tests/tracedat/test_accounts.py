"""Every nanosecond of every call of every trace at hand is accounted for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import kfgraph
from builder.accounts import _loaded, account, traces
from builder.tables import call, trace_of

REPOSITORY = Path(__file__).resolve().parent.parent.parent
TRACES = traces([REPOSITORY / "tests" / "fixtures" / "traces", REPOSITORY / "examples"])


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.name)
def test_the_parts_of_each_call_are_its_duration(path: Path, tmp_path: Path) -> None:
    found = account(_loaded(path, tmp_path))
    assert found.n_wrong == 0 and found.n_calls > 0
    assert found.n_known > 0.85 * found.n_calls or "thresh" in path.name
    assert sum(found.shares.values()) == pytest.approx(1) or not found.n_known


def test_a_nanosecond_too_many_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = trace_of([call("f", 10, call("g", 5)), call("h", 3)])
    assert account(trace).n_wrong == 0
    own = trace.calls.self_ns.copy()
    own[0] += 1
    monkeypatch.setattr(kfgraph.Trace, "check", lambda self: None)
    assert account(replace(trace, calls=trace.calls.with_columns(self_ns=own))).n_wrong == 1

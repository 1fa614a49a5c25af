"""A recording cut to what matters: the same records, fewer of them, and the same answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import kfgraph
from builder import cut
from kfgraph.analyze.why import why

RECORDING = Path(__file__).parents[2] / "examples" / "insmod-foo-fail19.dat"


def test_the_cut_is_small_and_tells_the_same(tmp_path: Path) -> None:
    out = tmp_path / "cut.dat"
    assert cut.write(RECORDING, out) == ""
    whole, part = kfgraph.load(RECORDING), kfgraph.load(out)
    part.check()
    assert out.stat().st_size * 10 < RECORDING.stat().st_size
    assert cut.told(why(part)) == cut.told(why(whole))
    assert why(part).birth.step.function == "foo_read_id" and why(part).birth.nth == 3
    assert part.notices == ()
    # What stayed is as it was.
    kept = {int(start): (int(took), label) for start, took, label in rows(part)}
    before = {int(start): (int(took), label) for start, took, label in rows(whole)}
    assert len(kept) > 100 and kept.items() <= before.items()


def rows(trace):
    labels = [trace.symbols.labels[code] for code in trace.calls.func]
    return zip(trace.calls.start_ns, trace.calls.duration_ns, labels, strict=True)


def test_a_cut_that_would_tell_something_else_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cut, "kept_rows", lambda trace, answer, **_: np.arange(len(trace.calls)) == answer.row)
    out = tmp_path / "cut.dat"
    assert "tells another story" in cut.write(RECORDING, out)
    assert not out.exists()


def test_one_task_can_be_taken_alone(tmp_path: Path) -> None:
    trace = kfgraph.load(RECORDING)
    pid = trace.companion.pids[0]
    cut.put(tmp_path / "one.dat", cut.of_tasks(RECORDING, {pid: None})[pid], cut.companion_of(trace.companion))
    alone = kfgraph.load(tmp_path / "one.dat")
    assert {task.pid for task in alone.tasks.tasks} == {pid}
    mine = np.isin(trace.calls.lane, trace.tasks.lanes_of(pid=pid))
    assert len(alone.calls) == int(mine.sum())
    assert cut.told(why(alone)) == cut.told(why(trace))

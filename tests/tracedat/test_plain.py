"""The reader without any compiled module, from the file to the table, against the compiled one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kfgraph.model.trace import Trace
from kfgraph.parse import pairing
from kfgraph.parse.tracedat import pages, read, reader
from plain import plain, plain_stacks
from tracedat.twin import plain_loops

TRACES = Path(__file__).resolve().parent.parent / "fixtures" / "traces"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def same(ours: Trace, theirs: Trace) -> None:
    """Every column of every table, and what is told beside them."""
    for a, b in ((ours.calls, theirs.calls), (ours.marks, theirs.marks), (ours.losses, theirs.losses)):
        for name, column in vars(a).items():
            if isinstance(column, np.ndarray):
                assert np.array_equal(column, getattr(b, name)), name
                assert column.dtype == getattr(b, name).dtype, name
    assert ours.symbols.labels == theirs.symbols.labels
    assert ours.symbols.addresses.tolist() == theirs.symbols.addresses.tolist()
    assert ours.tasks == theirs.tasks
    assert list(ours.marks.text) == list(theirs.marks.text)
    assert ours.notices == theirs.notices
    details = {**ours.meta.details, "loops": theirs.meta.details["loops"]}
    assert {**vars(ours.meta), "details": details} == {**vars(theirs.meta), "details": theirs.meta.details}


@pytest.mark.parametrize(
    ("file", "n_calls"),
    [
        (TRACES / "s390x-true.dat", 18_828),
        (EXAMPLES / "cat-enoent.dat", 31_963),
        (EXAMPLES / "insmod-fail19.dat", 5_694),
    ],
    ids=["s390x", "with return values", "with marks"],
)
def test_a_real_file_without_compiled_modules(file: Path, n_calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if not pages.COMPILED:
        pytest.skip("nothing is compiled here: pip install -e . with a C compiler")
    compiled = read(file)
    loops, streams = plain_loops()
    stacks, settle = plain_stacks(), plain("parse.settle")
    assert not (loops.COMPILED or streams.COMPILED or stacks.COMPILED or settle.COMPILED)
    monkeypatch.setattr(reader, "pages", loops)
    monkeypatch.setattr(reader, "streams", streams)
    monkeypatch.setattr(pairing, "stacks", stacks)
    monkeypatch.setattr(pairing, "settle", settle)
    uncompiled = read(file)
    uncompiled.check()
    assert uncompiled.meta.details["loops"] == "plain Python"
    same(uncompiled, compiled)
    assert len(uncompiled.calls) == n_calls

"""The scanners: compiled and plain are twins, and no bytes break them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfgraph.errors import InputError
from kfgraph.model.trace import Trace
from kfgraph.parse import load, records, scan
from kfgraph.parse.records import RecordBatch
from kfgraph.parse.report import scan as scan_lines
from reference.cases import FIXTURES, scanner_class, unpack

KINDS = ["ReportScanner", "FtraceScanner"]
TEXTS = sorted(path.name for path in FIXTURES.glob("*.xz"))


def gathered(scanner_type: Any, data: bytes, *, size: int) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """All rows and all facts."""
    found: list[tuple[Any, ...]] = []

    def sink(batch: RecordBatch, n: int) -> None:
        if n < 0:  # another recording begins
            found.append((n,))
            return
        found.extend(zip(*(column[:n].tolist() for column in vars(batch).values()), strict=True))

    scanner = scanner_type(sink, size=size)
    scan_lines(scanner, [data])
    facts = scanner.facts()
    return found, {name: list(value) if hasattr(value, "tolist") else value for name, value in facts.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TEXTS)
def test_the_plain_twin_does_the_same(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\n".join(unpack(FIXTURES / name).split(b"\n")[:250]) + b"\n"
    here = gathered(scanner_class(kind, monkeypatch, is_plain=False), data, size=64)
    twin = gathered(scanner_class(kind, monkeypatch, is_plain=True), data, size=1000)
    assert here == twin


def test_the_literals_are_those_of_the_records() -> None:
    names = ("_ENTRY", "_EXIT", "_LEAF", "_MARK", "_LOSS")
    source = scan.__file__ and (FIXTURES.parent.parent.parent / "src/kfgraph/parse")
    for module in ("scan.py", "scan_report.py"):
        text = (source / module).read_text()
        for name in names:
            if f"{name} = " in text:
                assert f"{name} = cython.declare(cython.int, {getattr(records, name[1:])})" in text


LINES = [
    b"              ls-347   [001]   432.933632: funcgraph_entry:        1.500 us   |  f();",
    b"              ls-347   [001] d.h1. 432.933632: funcgraph_entry:              |  f(a=1) /* <-g */ {",
    b"              ls-347   [001]   432.933632: funcgraph_exit:       # 1971.723 us |  } /* f */ (ret=-19)",
    b"            true-342   [000]981103560806: funcgraph_entry:                   |  f() {",
    b"    true-342     0-0x9981103968584: funcgraph_exit: func=f retval=0 depth=1 overrun=0 calltime=5c rettime=5d",
    b"              ls-347   [001]   432.933632: funcgraph_exit: <-- f (0) (start: 1  end: 2) over: 0",
    b"CPU:1 [1159 EVENTS DROPPED]",
    b"# tracer: function_graph",
    b"   79.548452 |   0)    bash-240    |  ...1. | + 15.228 us   |  f(); /* <-g+0x1/0x2 ret=0x1 */",
    b" 0)               |  /* sys_write -> 0x2 */",
    b" 0)  bash-240    =>   cat-12",
    b" 0)   1.000 us    |  f(); /* = -517 */",
    b" 0)   1.000 us    |  } (f [mod])",
    b" 1)   f() {",
    b"     2750 us |   0)   sh-901      |  d..1 | # 2747.100 us |  }",
    b"#                                     || / _---=> hardirq/softirq",
    b"#     TIME        CPU  TASK/PID       ||||     DURATION                  FUNCTION CALLS",
    b"  200.000012 |   1)    cat-77     |  d..h1.. |               |    f() {",
    b"            bash-240     [000] .....   147.536649: <stack trace>",
    b" => f",
    b"          insmod-94    [000] d.Lh1..    65.413742: funcgraph_entry:        1.500 us   |  f(); (ret=true)",
    b"cpus=2",
]
PIECES = [
    *(bytes([byte]) for byte in b" \n\r\0-|(){};[]:.\xff"),
    *(b"", b"/*", b"*/", b"9" * 30, b"0x", b"f" * 20, b"us", b"ret=", b"<-", b"func=", b"=> ", b"  |  ", b"> "),
    *(b"us |", b"(trunc)", b"d..h1.. |"),
]


@st.composite
def broken_texts(draw: st.DrawFn) -> bytes:
    """Real lines with pieces cut out, put in and swapped."""
    lines = []
    for line in draw(st.lists(st.sampled_from(LINES), min_size=1, max_size=8)):
        for _ in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, len(line)))
            end = min(len(line), at + draw(st.integers(0, 12)))
            line = line[:at] + draw(st.sampled_from(PIECES) | st.binary(max_size=4)) + line[end:]
        lines.append(line)
    return draw(st.sampled_from([b"\n", b"\r\n"])).join(lines) + draw(st.sampled_from([b"", b"\n"]))


def outcome(data: bytes) -> Trace | InputError:
    try:
        trace = load(io.BytesIO(data))
    except InputError as error:
        return error
    trace.check()
    assert all(isinstance(text, str) for text in trace.marks.text)
    known = trace.calls.self_ns >= 0
    assert (trace.calls.self_ns[known] <= trace.calls.duration_ns[known]).all()
    return trace


@given(broken_texts())
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_broken_text_gives_a_trace_or_an_input_error(data: bytes) -> None:
    assert isinstance(outcome(data), (Trace, InputError))


@given(st.binary(max_size=400))
@settings(max_examples=500, deadline=None)
def test_any_bytes_give_a_trace_or_an_input_error(data: bytes) -> None:
    assert isinstance(outcome(data), (Trace, InputError))


@given(broken_texts(), st.integers(1, 60))
@settings(max_examples=300, deadline=None)
def test_how_the_bytes_arrive_does_not_matter(data: bytes, step: int) -> None:
    class Pieces:
        def __init__(self) -> None:
            self.at = 0

        def read(self, size: int, /) -> bytes:
            piece = data[self.at : self.at + min(size, step)]
            self.at += len(piece)
            return piece

    whole = outcome(data)
    try:
        pieces = load(Pieces())
    except InputError:
        assert isinstance(whole, InputError)
        return
    assert isinstance(whole, Trace)
    for (name, column), (_, other) in zip(whole.calls.columns(), pieces.calls.columns(), strict=True):
        assert np.array_equal(column, other), name
    assert [notice.code for notice in whole.notices] == [notice.code for notice in pieces.notices]


@given(broken_texts())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kind", KINDS)
def test_the_twins_agree_on_broken_text(kind: str, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    with monkeypatch.context() as patch:
        here = gathered(scanner_class(kind, patch, is_plain=False), data, size=8)
        assert here == gathered(_plain(kind, patch), data, size=8)


_PLAIN: dict[str, Any] = {}


def _plain(kind: str, patch: pytest.MonkeyPatch) -> Any:
    if kind not in _PLAIN:
        _PLAIN[kind] = scanner_class(kind, patch, is_plain=True)
    return _PLAIN[kind]

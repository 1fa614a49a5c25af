"""The text of ``trace-cmd report`` -> Trace. What the text keeps and what it loses: docs/formats.md."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kfgraph.errors import Notice, notice
from kfgraph.model.trace import Trace, TraceMeta
from kfgraph.parse.assemble import assemble
from kfgraph.parse.input import Input
from kfgraph.parse.pairing import Pairer
from kfgraph.parse.plaintext import PlainText
from kfgraph.parse.records import UNTOLD
from kfgraph.parse.scan import Scanner
from kfgraph.parse.scan_report import ReportScanner

_MAX_LINE = 1 << 20
_BYTES_A_CALL = 128
"""Two lines of three take an entry and an exit, one a leaf. Room at once is cheaper than room that grows."""
_WHOLE_ENDS = (b";", b"{", b"}", b")", b"/")
_LINE = re.compile(
    rb"^(?:cpus=|version = )\d+\r?$"
    rb"|^[^\n]{0,100}(?:funcgraph_entry|funcgraph_exit|fgraph_retaddr_entry): "
    rb"|^[^\n]{1,100}-\d+ +(?:\[\d+\]|\d+-0x\S*) *[^\n:]{0,40}: +\w+: ",
    re.MULTILINE,
)


def sniff(head: bytes) -> bool:
    """Whether this looks like ``trace-cmd report`` text."""
    return not re.search(rb"^# tracer: ", head, re.MULTILINE) and bool(_LINE.search(head))


def load(source: Input | PlainText, *, buffer: str | None = None) -> Trace:
    """Read report text; of several buffers the one named, the main one by default.

    Raises:
        InputError: not one line is a function_graph record.
        NoMatchError: no line is of that buffer.
    """
    n_expected = source.n_bytes // _BYTES_A_CALL
    pairer = Pairer(retval=True, caller=True, args=True, untold=UNTOLD, n_expected=n_expected)
    scanner = ReportScanner(pairer.feed, buffer=(buffer or "").encode())
    pairer.delays.facts = scanner.facts
    notices = scan(scanner, source.chunks())
    facts = scanner.facts()
    paired = pairer.finish(clock_is_ns=not facts["ticks"])
    meta = TraceMeta(path=source.name, reader="report", recorder="trace-cmd")
    return assemble(paired, facts, meta, [*source.notices(), *notices], buffer=buffer or "")


def scan(scanner: Scanner, chunks: Iterable[bytes]) -> list[Notice]:
    """Feed all lines to ``scanner`` and flush it; say so if the last line is cut."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        rest = data[scanner.feed(data) :]
        if len(rest) > _MAX_LINE:
            # No text: one line that is not understood, however long it gets.
            scanner.feed(rest[:100] + b"\n")
            rest = b""
    whole, partial = rest[: rest.rfind(b"\n") + 1], rest[rest.rfind(b"\n") + 1 :]
    cut = bool(partial.strip()) and not partial.rstrip().endswith(_WHOLE_ENDS)
    # Whole lines may have waited for more.
    scanner.feed(whole if cut or not partial.strip() else rest + b"\n", last=True)
    scanner.flush()
    return [notice("cut-input:line")] if cut else []

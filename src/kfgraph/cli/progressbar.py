"""A progress bar on a terminal's stderr, for what takes longer than a second."""

from __future__ import annotations

import _thread
import contextlib
import sys
import time
from collections.abc import Iterator

from kfgraph.cli.liveline import LiveLine
from kfgraph.model import steps
from kfgraph.model.spelling import spelt_out

AFTER_S = 1.0
EVERY_S = 0.2
_CELLS = 20
_THREAD_BYTES = 1 << 20
"""Threads are for what is at least so much work."""


@contextlib.contextmanager
def shown(what: str, *, quiet: bool = False, after_s: float | None = None) -> Iterator[None]:
    """While the block runs, say on a terminal how far it is: ``what``, and the steps that it tells of.

    Nothing is said in the first second (``after_s``), where stderr is no terminal, nor when ``quiet``.
    """
    steps.begin(what)
    if quiet or not sys.stderr.isatty():
        yield
        return
    from kfgraph.model.background import beside

    line, ended = LiveLine(sys.stderr), _thread.allocate_lock()
    ended.acquire()
    begun = time.monotonic()

    def draw() -> None:
        wait = AFTER_S if after_s is None else after_s
        while not ended.acquire(timeout=wait):
            line.update(spelt_out(said(time.monotonic() - begun)))
            wait = EVERY_S

    # Where there can be no thread there is no bar.
    worker = beside(draw, n_bytes=_THREAD_BYTES)
    try:
        yield
    finally:
        ended.release()
        if worker is not None:
            worker.join()
        line.clear()


def said(seconds: float) -> str:
    """``kfgraph: reading trace.dat [#########...........] 45 %``; ``, 12 s`` where nobody knows how much it is."""
    now = steps.NOW
    if not now.total:
        return f"kfgraph: {now.what}, {int(seconds)} s"
    share = min(now.done / now.total, 1.0)
    filled = int(share * _CELLS)
    return f"kfgraph: {now.what} [{'#' * filled}{'.' * (_CELLS - filled)}] {int(share * 100)} %"

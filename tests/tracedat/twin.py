"""The page loop as plain Python, its streams too."""

from __future__ import annotations

import sys
from types import ModuleType

from plain import plain


def plain_loops() -> tuple[ModuleType, ModuleType]:
    """(pages, streams) of kfgraph.parse.tracedat, run from their sources."""
    name = "kfgraph.parse.tracedat.streams"
    before = sys.modules.get(name)
    streams = sys.modules[name] = plain("parse.tracedat.streams")
    try:
        return plain("parse.tracedat.pages"), streams
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before

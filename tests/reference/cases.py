"""What the tests of text readers share."""

from __future__ import annotations

import importlib
import io
import lzma
import sys
from pathlib import Path
from typing import Any

import pytest

from kfgraph.model.trace import Trace
from kfgraph.parse import load
from plain import plain

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "text"


def read(text: str | bytes, **options: Any) -> Trace:
    """The checked Trace of a text."""
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    trace = load(io.BytesIO(data), **options)
    trace.check()
    return trace


def load_checked(path: Path, **options: Any) -> Trace:
    trace = load(path, **options)
    trace.check()
    return trace


def unpack(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes())


def rows(trace: Trace, *columns: str) -> list[tuple[Any, ...]]:
    """(function, columns...) of every call in table order."""
    calls = trace.calls
    names = [trace.symbols.label(func) for func in calls.func.tolist()]
    return list(zip(names, *(getattr(calls, column).tolist() for column in columns), strict=True))


def scanner_class(name: str, monkeypatch: pytest.MonkeyPatch, *, is_plain: bool) -> Any:
    """A scanner as it is installed here, or its uncompiled twin."""
    module = {"ReportScanner": "scan_report", "FtraceScanner": "scan_ftrace"}[name]
    if not is_plain:
        return getattr(importlib.import_module(f"kfgraph.parse.{module}"), name)
    for base in ("scan_pieces", "scan"):
        monkeypatch.setitem(sys.modules, f"kfgraph.parse.{base}", plain(f"parse.{base}"))
    return getattr(plain(f"parse.{module}"), name)

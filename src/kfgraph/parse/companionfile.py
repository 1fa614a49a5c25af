"""TRACE.kfgraph.json beside a trace: read into ``Trace.companion``. What it tells of the calls, passes find out."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

from kfgraph.errors import notice
from kfgraph.model.companion import Companion
from kfgraph.model.trace import Trace

_MAX_SIZE = 64 << 20
_MOST_SAID = 200


def attach(trace: Trace, file: Path) -> Trace:
    """The trace with the companion in ``file``; one that cannot be read becomes a Notice."""
    try:
        if file.stat().st_size > _MAX_SIZE:
            raise ValueError("too large")
        data = json.loads(file.read_bytes(), parse_constant=_no_number, parse_float=_finite)
        if not isinstance(data, dict):
            raise ValueError("no object")
        companion = Companion.from_dict(data)
    except (OSError, ValueError, RecursionError) as problem:
        why = str(problem)[:_MOST_SAID]
        return replace(trace, notices=(*trace.notices, notice("companion-unread", file=file.name, why=why)))
    # A trace that was made of a dead guest's parts does not say.
    meta = trace.meta if trace.meta.kernel else replace(trace.meta, kernel=companion.kernel)
    return replace(trace, companion=companion, meta=meta)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number in JSON")


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is too large a number")
    return number

"""kfgraph: strace for the inside of the kernel. The public API, imported when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kfgraph.model.trace import Trace
    from kfgraph.parse import load

__version__ = "0.1.0"

_WHERE = {
    "load": "kfgraph.parse",
    "Trace": "kfgraph.model.trace",
}

__all__ = ["Trace", "load"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])

"""Which hot loops run compiled here. ``setup.py`` compiles the same list."""

from __future__ import annotations

import importlib

HOT_LOOPS = (
    *("columns", "placing", "scan_pieces", "scan", "scan_ftrace", "scan_report", "settle", "stacks"),
    *("tracedat.streams", "tracedat.pages"),
)


def compiled_loops() -> dict[str, bool]:
    """Name of each hot loop in kfgraph.parse -> whether it runs as machine code (else as plain Python)."""
    modules = {name: importlib.import_module(f"kfgraph.parse.{name}") for name in HOT_LOOPS}
    return {name: not str(module.__file__).endswith(".py") for name, module in modules.items()}

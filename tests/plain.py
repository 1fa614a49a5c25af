"""The plain Python twins of the compiled hot loops."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import kfgraph

SOURCE = Path(kfgraph.__file__).parent


def plain(name: str) -> ModuleType:
    """The module ``kfgraph.<name>`` run from its source, whether or not it is compiled here."""
    path = SOURCE.joinpath(*name.split(".")).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(f"plain.{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by name.

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    assert not getattr(module, "COMPILED", False)
    return module


def plain_stacks() -> ModuleType:
    """``kfgraph.parse.stacks`` on top of the plain columns: a plain class cannot stand on a compiled one."""
    name = "kfgraph.parse.columns"
    installed = sys.modules[name]
    sys.modules[name] = plain("parse.columns")
    try:
        return plain("parse.stacks")
    finally:
        sys.modules[name] = installed

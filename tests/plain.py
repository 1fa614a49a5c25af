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
    names = ("parse.columns", "parse.placing")
    installed = {name: sys.modules[f"kfgraph.{name}"] for name in names}
    try:
        for name in names:
            sys.modules[f"kfgraph.{name}"] = plain(name)
        return plain("parse.stacks")
    finally:
        sys.modules.update({f"kfgraph.{name}": module for name, module in installed.items()})

"""Files that a command needs beside its trace, looked at before it runs something for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def check_files(
    *,
    modules: Sequence[str] | None,
    btf: Sequence[str] | None,
    debug_info: Sequence[str] | None,
    trees: Sequence[str] | None,
) -> None:
    """Refuse files that could not be used afterwards, whatever the trace holds.

    Raises:
        InputError: a file is not there, not readable, or not what its option takes; no such directory.
    """
    if modules:
        from kfgraph.kernel.module import read_module

        for file in modules:
            if not Path(file).is_dir():
                read_module(file)
    if btf:
        from kfgraph.kernel.typesfile import TypesFile, read_types

        read: list[TypesFile] = []
        for file in btf:
            base = next((one.btf for one in read if not one.module), None)
            read.append(read_types(file, base=base))
    if debug_info or trees:
        from kfgraph.kernel.sourcelines import DebugInfo, find_in_tree

        for file in debug_info or ():
            DebugInfo(file)
        for tree in trees or ():
            find_in_tree(tree, ())

"""Files with debug info, as far as they are of what was traced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kfgraph.errors import InputError
from kfgraph.model.trace import Trace

if TYPE_CHECKING:
    from kfgraph.kernel.sourcelines import DebugInfo


def read(paths: Sequence[str | Path], trace: Trace) -> list[DebugInfo]:
    """The debug info of these files.

    Raises:
        InputError: a file is not there, has no debug info, or is another kernel's or of another build.
    """
    if not paths:
        return []
    # Most links are to the web, and most trees have no lines: who shows those does not wait for what reads files.
    from kfgraph.kernel.sourcelines import DebugInfo

    return [fitting(DebugInfo(path), trace) for path in paths]


def fitting(info: DebugInfo, trace: Trace) -> DebugInfo:
    """``info``, if nothing says that it is another kernel's."""
    if not info.module and info.release and trace.meta.kernel and info.release != trace.meta.kernel:
        raise InputError(f"{info.path}: debug info of {info.release}; the trace is of {trace.meta.kernel}")
    images = trace.companion.modules if trace.companion is not None else ()
    builds = {image.build_id for image in images if image.name == info.module and image.build_id}
    if builds and info.build_id and info.build_id not in builds:
        hint = "give the file that was loaded"
        raise InputError(f"{info.path}: another build of {info.module} than the one that was traced", hint)
    return info

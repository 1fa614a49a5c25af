"""What there is besides the trace."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False, repr=False)
class Given:
    """``modules``: files of kernel modules that the user names, and directories of them. ``btf``: files with types.
    ``companion_name``: the file that ``Trace.companion`` was read from, for messages.
    """

    modules: tuple[str, ...] = ()
    btf: tuple[str, ...] = ()
    companion_name: str = "the companion"

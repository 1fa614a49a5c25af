"""Which functions of the kernel make which errors themselves, by the source of Linux 6.1, 6.12 and 7.2.

``errors_made.txt`` is made by ``scripts/errors_made.py``: it has what system calls pass through, not the functions
of drivers; EINVAL and ENOMEM, which nearly all make, are not in it.
"""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

from kfgraph.kernel.errnos import errno_name
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.model.spelling import plain_name

MODULES = frozenset(("binfmt_misc", "af_packet", "ext4", "fat", "fuse", "ipv6", "overlay", "unix", "vfat", "xfs"))
"""Modules whose functions are in the table. Where another one ran, the order of calls tells more."""
_TABLE = Path(__file__).with_name("errors_made.txt")


@cache
def _errors_of() -> dict[str, frozenset[int]]:
    lines = (line.split() for line in _TABLE.read_text(encoding="ascii").splitlines())
    return {name: frozenset(map(int, errors)) for name, *errors in lines}


def makes(name: str, error: int, *, arch: str = "") -> bool:
    """Whether the function, or one that may be inlined in it, is known to make this error (negative).

    The table has the numbers that most architectures use: of one that ``arch`` numbers otherwise nothing is known.
    """
    return -error in _errors_of().get(_listed(name), ()) and errno_name(-error, arch=arch) != ""


@lru_cache(maxsize=4096)
def _listed(name: str) -> str:
    plain = plain_name(name)
    call = system_call_of(plain)
    return f"sys_{call}" if call else plain

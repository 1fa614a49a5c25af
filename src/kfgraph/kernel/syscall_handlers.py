"""System calls: which functions handle them.

Sources: include/linux/syscalls.h and arch/*/include/asm/syscall_wrapper.h.
"""

from __future__ import annotations

import re

_HANDLER = re.compile(
    r"(?:__(?:x64|ia32|x32|arm64|s390x?|riscv|loongarch|powerpc|se|do)_(?:compat_)?sys_|(?:compat_)?(?:sys|SyS)_)"
    r"(\w+?)(?:\.\w+)*"
)
PATH_FUNCTIONS = ("getname", "getname_flags")
"""What copies a path from the program: each returns a struct filename (fs/namei.c). Up to 6.13 open and exec come
through the first, the others through the second; since then all through the second."""
PATH_EVENT = "path_of_"
"""How the events of probes on them are named: with the function's name behind."""
_NO_HANDLERS = frozenset(("sys_imageblit", "sys_copyarea", "sys_fillrect", "sys_tz", "sys_info", "sys_off_notify"))
"""Functions that are named like a handler and are none (drivers/video/fbdev, kernel/reboot.c)."""


def system_call_of(function: str) -> str:
    """``openat`` for ``__x64_sys_openat``, ``__se_sys_openat`` and their like; "" for a function that is no handler."""
    found = _HANDLER.fullmatch(function)
    return "" if found is None or function in _NO_HANDLERS else found[1]

"""What the guest's kernel said on its console, and where in that trouble begins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_PANIC = re.compile(r"Kernel panic")
# What may lead to a panic, and what is worth telling when nothing did.
_CRASH = re.compile(r"BUG: (?!soft lockup)|Oops|general protection fault|kernel BUG at|Unable to handle kernel")
_TROUBLE = re.compile(
    rf"{_CRASH.pattern}|Out of memory|invoked oom-killer|soft lockup|blocked for more than|detected stalls?"
)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def console_lines(path: Path) -> tuple[str, ...]:
    """The console's lines without control characters and empty lines."""
    text = _CONTROL.sub("", path.read_bytes().decode("utf-8", "replace").replace("\r", ""))
    return tuple(line.rstrip() for line in text.split("\n") if line.strip())


def find_trouble(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines from the first sign of trouble on; none if there is none.

    Before a panic only a crash counts as its sign, not a lockup or a shortage that was survived.
    """
    signs = (_CRASH, _PANIC) if any(_PANIC.search(line) for line in lines) else (_TROUBLE,)
    for sign in signs:
        for i, line in enumerate(lines):
            if sign.search(line):
                return tuple(lines[i:])
    return ()

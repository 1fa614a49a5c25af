"""The arguments in the text of a system call's entry event, and the paths: not what the program wrote or read.

Linux 7.x records what some pointers point to (kernel/trace/trace_syscalls.c). In a trace.dat these are fields behind
all others, ``filename=0x7ffd fd=3 __filename_val=/etc/passwd``; a report and the tracefs file print them behind their
pointer, ``filename: 0x7ffd "/etc/passwd", fd: 0x3``, ``buf: 0x55 (68:69) "hi", count: 0x2``.
"""

from __future__ import annotations

import re

_VALUE = re.compile(r"(?:^|(?<= ))__(\w{1,64}?)_val=")
_IS_PATH = re.compile(r"(?:(?:file|path|dev_|dir_|old|new|special)?name|path|specialfile|new_root|put_old)")
_OF_PROBE = re.compile(r"\bpath=\"([^\"]*)")
"""What a probe of somebody's read. ``path=0x47e113`` is where readlink's stands."""
_FIELD = re.compile(r"(?<!\w)(\w{1,64})=(\S+?)(?:,|(?= )|$)")
_PRINTED = re.compile(
    r"(?<!\w)(?P<name>\w{1,64}): ?(?P<value>[^\s,\"()]+)(?: \([^()]*\))?"
    r"(?: \"(?P<text>.{0,256}?)\"(?:\.\.\.)?)?(?=, \w+: |[)\s]*$)",
    re.DOTALL,
)
"""The kernel copies 165 bytes of a string at most (SYSCALL_FAULT_USER_MAX)."""
_NUMBER = re.compile(r"0x[0-9a-f]+|0|[1-9]\d*")


def is_path(name: str) -> bool:
    """Whether an argument of this name points to a path."""
    return _IS_PATH.fullmatch(name) is not None


def told(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """(name and value of each argument, in order, without pointers to paths that are known; the paths)."""
    if re.match(r"\w+: ?\S", text):
        arguments, paths = [], []
        for printed in _PRINTED.finditer(text):
            if printed["text"] is not None and is_path(printed["name"]):
                paths.append(printed["text"])
            else:
                arguments.append((printed["name"], _number(printed["value"])))
        return arguments, paths
    # Data is behind all arguments, and can hold anything.
    plain, *data = _VALUE.split(text)
    values = dict(zip(data[::2], (value.removesuffix(" ") for value in data[1::2]), strict=True))
    paths = [value for name, value in values.items() if is_path(name)]
    if not paths and (probed := _OF_PROBE.search(plain)):
        paths = [probed[1]]
    fields = [(name, value) for name, value in _FIELD.findall(plain) if not name.startswith("__")]
    hidden = {name for name in values if is_path(name)}
    if paths and not hidden:
        hidden = {name for name, _ in fields if is_path(name)}
    return [(name, _number(value)) for name, value in fields if name not in hidden], paths


def _number(value: str) -> str:
    """Small numbers as such; large ones are addresses or flags."""
    if not _NUMBER.fullmatch(value):
        return value
    number = int(value, 0)
    # A small negative one, of 32 or 64 bits.
    for past in (1 << 32, 1 << 64):
        if past - 4096 <= number < past:
            return str(number - past)
    return str(number) if number < 4096 else hex(number)

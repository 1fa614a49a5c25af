"""Which functions of the kernel make which errors: the table that ``kfgraph why`` uses where no value tells.

    python scripts/errors_made.py SOURCE...

SOURCE is a folder with the C files of a kernel (one for each version that the table is to know). A function makes an
error if its text gives one (``return -EEXIST``, ``error = -EEXIST``, ``ERR_PTR(-EEXIST)``; not a comparison), or the
text of a function of the same file that it calls, two calls deep: the compiler may have inlined that. EINVAL and ENOMEM
are left out: so many functions make them that it says nothing.
"""

from __future__ import annotations

import errno
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TABLE = Path(__file__).resolve().parent.parent / "src" / "kfgraph" / "kernel" / "errors_made.txt"
FOLDERS = (
    "fs fs/devpts fs/debugfs fs/ext4 fs/fat fs/fuse fs/iomap fs/kernfs fs/notify fs/notify/fanotify "
    "fs/notify/inotify fs/overlayfs fs/proc fs/quota fs/ramfs fs/sysfs fs/tracefs fs/xfs mm ipc kernel "
    "kernel/cgroup kernel/entry kernel/events kernel/futex kernel/irq kernel/locking kernel/module "
    "kernel/power kernel/printk kernel/sched kernel/time net net/core net/ipv4 net/ipv6 net/netlink "
    "net/packet net/unix security security/apparmor security/keys security/landlock security/yama block "
    "lib init io_uring drivers/base drivers/char drivers/tty drivers/tty/vt "
)
"""What system calls pass through; drivers are left out, since their own functions are in the trace as a module's."""
COMMON = {"EINVAL", "ENOMEM"}
NUMBERS = {name: number for number, name in errno.errorcode.items()} | {"ENOTSUPP": 524}
WITHIN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$", re.MULTILINE)
FUNCTION = re.compile(
    r"^(?P<head>[A-Za-z_][^;{}=]*?\))\s*(?:__\w+\s*(?:\([^)]*\)\s*)?)*\n\{\n(?P<body>.*?)^\}", re.DOTALL | re.MULTILINE
)
CALLED = re.compile(r"([A-Za-z_]\w*)\s*\(")
SYSTEM_CALL = re.compile(r"(?:COMPAT_)?SYSCALL_DEFINE\d\(\s*(\w+)")
MADE = re.compile(r"(?<![\w)])-\s?(E[A-Z0-9]{3,})\b")
COMPARED = re.compile(r"(?:[=!<>]=|\bcase|[<>])\s*(?:ERR_PTR\()?$")
ATTRIBUTES = re.compile(r"__(?:attribute__|printf|releases|acquires|must_hold|section|cold)")
DEEP = 2


def functions_of(text: str) -> Iterator[tuple[str, str]]:
    """(name, body) of the functions of a C file; a system call's is ``sys_NAME``."""
    text = DIRECTIVE.sub("", WITHIN.sub(lambda found: "\n" * found[0].count("\n"), text))
    for found in FUNCTION.finditer(text):
        if call := SYSTEM_CALL.match(found["head"]):
            yield f"sys_{call[1]}", found["body"]
            continue
        names = [name for name in CALLED.findall(found["head"]) if not ATTRIBUTES.fullmatch(name)]
        if names and not names[0].isupper():  # else a macro that makes functions
            yield names[0], found["body"]


def errors_in(body: str) -> set[str]:
    """The errors that a body makes."""
    found = ((one[1], body[max(one.start() - 24, 0) : one.start()]) for one in MADE.finditer(body))
    return {name for name, before in found if not COMPARED.search(before)}


def errors_made(text: str) -> dict[str, set[str]]:
    """The errors that each function of a C file may make."""
    bodies: dict[str, str] = {}
    for name, body in functions_of(text):
        bodies[name] = bodies.get(name, "") + body
    own = {name: errors_in(body) for name, body in bodies.items()}
    calls = {name: set(CALLED.findall(body)) & bodies.keys() for name, body in bodies.items()}
    made = {}
    for name in bodies:
        inside = {name}
        for _ in range(DEEP):
            inside |= {called for one in inside for called in calls[one]}
        made[name] = {error for one in inside for error in own[one]}
    return made


def main() -> None:
    """Write the table: a line for each function, with the numbers of its errors."""
    table: dict[str, set[int]] = defaultdict(set)
    for source in map(Path, sys.argv[1:]):
        for folder in FOLDERS.split():
            for file in sorted((source / folder).glob("*.c")):
                for name, errors in errors_made(file.read_text(errors="replace")).items():
                    table[name] |= {NUMBERS[error] for error in errors - COMMON if error in NUMBERS}
    lines = [f"{name} {' '.join(map(str, sorted(errors)))}\n" for name, errors in sorted(table.items()) if errors]
    TABLE.write_text("".join(lines))


if __name__ == "__main__":
    main()

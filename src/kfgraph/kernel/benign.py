"""Failures of system calls: which are usual and decide nothing, and what an error means for a call.

Sources: the man pages of section 2, glibc's start-up code, kmod.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Benign:
    """One rule: these errors of these system calls (globs) are usual and decide nothing; ``reason`` says why.

    ``path`` restricts the rule to calls whose recorded path it matches. ``may_end``: a program may also give up for it.
    """

    calls: tuple[str, ...]
    errors: tuple[int, ...]
    reason: str
    path: re.Pattern[str] | None = None
    may_end: bool = False

    def covers(self, call: str, error: int, path: str | None) -> bool:
        """Whether the rule speaks of this failure; ``error`` is negative."""
        if -error not in self.errors or not any(fnmatchcase(call, glob) for glob in self.calls):
            return False
        return self.path is None or (path is not None and self.path.search(path) is not None)


_PATHS = (
    "open", "openat", "openat2", "access", "faccessat", "faccessat2", "stat", "lstat", "newstat", "newlstat",
    "newfstatat", "fstatat64", "statx", "readlink", "readlinkat",
)  # fmt: skip
"""System calls that look a path up and change nothing."""

_MAKES = ("open", "openat", "openat2", "creat", "mkdir", "mkdirat", "mknod", "mknodat")
"""System calls that make what their path names."""

_WAITING = (
    "read*", "pread*", "write*", "pwrite*", "recv*", "send*", "accept*", "connect", "futex*", "poll", "ppoll*",
    "*select*", "epoll_*", "io_*", "msg*", "mq_*", "sem*", "splice", "tee", "vmsplice", "rt_sig*", "fcntl", "flock",
    "ioctl", "wait*",
)  # fmt: skip
"""System calls that say EAGAIN where they would wait; of others (fork, setuid, mlock) it is a limit."""

BENIGN = (
    Benign(("*",), (4,), "interrupted: such a call is made again"),
    Benign(("flock",), (11,), "the lock is taken: a program may try again", may_end=True),
    Benign(_WAITING, (11,), "nothing there yet: such a call is made again", may_end=True),
    Benign(("*",), (512, 513, 514, 516), "a signal came: the kernel restarts the call"),
    Benign(("ioctl",), (25,), "how a program asks whether a file is a terminal", may_end=True),
    Benign(("wait4", "waitid", "waitpid"), (10,), "no child is left to wait for"),
    Benign(("lseek", "llseek", "_llseek"), (29,), "how a program finds out that a file is a pipe", may_end=True),
    Benign(
        (
            "rseq",
            "clone3",
            "statx",
            "faccessat2",
            "openat2",
            "close_range",
            "membarrier",
            "set_robust_list",
            "getrandom",
            "copy_file_range",
            "fchmodat2",
            "map_shadow_stack",
            "mseal",
            "arch_prctl",
            "prctl",
            "seccomp",
        ),
        (22, 38, 95),
        "not offered by this kernel: the C library does without",
        may_end=True,
    ),
    Benign(
        ("getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "getxattrat"),
        (61, 95),
        "the file has no such attribute",
        may_end=True,
    ),
    Benign(("read",), (61,), "no message of the file system is left to read", may_end=True),
    Benign(("connect",), (2, 111), "no name service daemon runs", re.compile(r"/nscd/")),
    Benign(
        (*_PATHS,),
        (2, 13, 20),
        "the dynamic loader looks in several places",
        re.compile(r"/etc/ld\.so\.|/glibc-hwcaps/|\.so(?:\.[\d.]+)?$|/etc/ld-musl"),
        may_end=True,
    ),
    Benign(
        (*_PATHS,),
        (2, 20),
        "translations and settings that may be missing",
        re.compile(r"/locale(?:/|$)|/locale-langpack/|\.mo$|/gconv/|/nls/|\.cat$|/etc/nsswitch|/terminfo/"),
    ),
    Benign(
        (*_PATHS,),
        (2,),
        "module tools look for settings that may be missing",
        re.compile(
            r"/modules\.(?:softdep|weakdep|symbols|builtin|alias|dep|devname)|/modprobe\.d|/depmod\.d|/sys/module/"
        ),
    ),
)
"""The failures that decide nothing. The first rule that covers one gives its reason."""


def benign(call: str, error: int, path: str | None = None) -> str:
    """Why this failure decides nothing, "" where no rule says so. ``error`` is negative."""
    rule = _rule(call, error, path)
    return "" if rule is None else rule.reason


def may_end(call: str, error: int, path: str | None = None) -> bool:
    """Whether a program may give up for this failure, though it is benign."""
    rule = _rule(call, error, path)
    return rule is not None and rule.may_end


def _rule(call: str, error: int, path: str | None) -> Benign | None:
    return next((rule for rule in BENIGN if rule.covers(call, error, path)), None)


_TELLING = (
    "write", "writev", "close", "fstat", "newfstat", "newfstatat", "brk", "mmap", "munmap", "rt_sigaction",
    "rt_sigprocmask", "sigaltstack", "lseek", "fcntl", "exit", "exit_group",
)  # fmt: skip


def polls(call: str) -> bool:
    """Whether a program asks with this system call when to try again what would wait."""
    return any(fnmatchcase(call, glob) for glob in ("poll", "ppoll*", "*select*", "epoll_*", "io_uring_enter"))


def only_tells(call: str) -> bool:
    """Whether a program that has given up still makes this system call: to say so, and to end."""
    return call in _TELLING


def looks_a_path_up(call: str) -> bool:
    """Whether the system call looks a path up and changes nothing: programs search with these."""
    return call in _PATHS


def could_not_make(call: str, error: int) -> bool:
    """Whether what the path of this failure (negative) names is therefore not there afterwards."""
    return call in _MAKES and -error not in (2, 17, 21)  # ENOENT; EEXIST, EISDIR: it is there


_MEANINGS: dict[tuple[str, int], str] = {
    ("finit_module", 2): "a symbol that the module needs is not there, or its init said so",
    ("finit_module", 8): "not a module for this kernel: its version magic or format differs",
    ("finit_module", 16): "the module is being loaded already, or its init found something in use",
    ("finit_module", 17): "a module of this name is loaded already",
    ("finit_module", 1): "loading modules is not allowed, or a check refused it",
    ("finit_module", 22): "a parameter was refused, or the module's layout is wrong",
    ("finit_module", 126): "no key for the module's signature",
    ("finit_module", 129): "the module's signature was refused",
    ("mount", 22): "no such file system on it, or an option that it does not know",
    ("mount", 15): "not a block device",
    ("mount", 16): "the device or the mount point is in use",
    ("mount", 19): "the kernel does not know this file system",
    ("mount", 6): "no such device",
    ("mount", 2): "the mount point or the device is not there",
    ("umount", 16): "the file system is in use",
    ("umount2", 16): "the file system is in use",
    ("execve", 2): "the program, or the interpreter that it names, is not there",
    ("execve", 8): "not a program that the kernel can run",
    ("execve", 13): "the file may not be executed",
    ("bind", 98): "the address is in use",
    ("bind", 13): "the address needs privileges",
    ("connect", 111): "nobody listens there",
    ("rmdir", 39): "the directory is not empty",
    ("kill", 1): "the process belongs to another user",
    ("kill", 3): "there is no such process",
    ("write", 28): "no space is left on the device",
    ("write", 32): "nobody reads the pipe any more",
    ("openat", 40): "too many symbolic links: they may form a loop",
}
_FAMILIES = {"init_module": "finit_module", "open": "openat", "openat2": "openat", "execveat": "execve",
             "fsconfig": "mount", "fsmount": "mount", "move_mount": "mount", "pwrite64": "write", "writev": "write",
             "unlinkat": "rmdir"}  # fmt: skip


def meaning(call: str, error: int) -> str:
    """What the error says about this system call, as its man page does, short; "" where nothing special is known."""
    return _MEANINGS.get((_FAMILIES.get(call, call), -error), "")

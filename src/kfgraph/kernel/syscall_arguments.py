"""System calls' arguments as strace words them, from the registers that a raw sys_enter event holds.

Sources: include/linux/syscalls.h for the order of arguments, include/uapi/asm-generic/fcntl.h for the flags of open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

# name and kinds of arguments: d fd, D directory fd, p path, o flags of open, m mode, i int, n size, a address,
# x flags, s signal. What comes behind them is left out.
_KINDS = """
read dan write dan pread64 dann pwrite64 dann readv dai writev dai open pom openat Dpom openat2 Dpan creat pm close d
close_range iix dup d dup2 dd dup3 ddx fcntl dia ioctl dxa lseek dni fsync d fdatasync d ftruncate dn truncate pn
stat pa lstat pa fstat da newfstatat Dpax statx Dpxxa access pi faccessat Dpi faccessat2 Dpix statfs pa fstatfs da
readlink pan readlinkat Dpan getcwd an chdir p fchdir d chroot p mkdir pm mkdirat Dpm rmdir p unlink p unlinkat Dpx
rename pp renameat DpDp renameat2 DpDpx link pp linkat DpDpx symlink pp symlinkat pDp chmod pm fchmod dm fchmodat Dpm
chown pii lchown pii fchown dii fchownat Dpiix mknod pmx mknodat Dpmx utimensat Dpax getdents64 dan
execve paa execveat Dpaax exit i exit_group i wait4 iaxa kill is tkill is tgkill iis clone xaaaa clone3 an
mount apaxa umount2 px swapon px swapoff p pivot_root pp setxattr papni lsetxattr papni getxattr pa removexattr pa
mmap anixdn munmap an mprotect anx mremap annx madvise ani brk a mlock an
socket iii bind dan connect dan listen di accept daa accept4 daax sendto danxan recvfrom danxaa sendmsg dax recvmsg dax
setsockopt diian getsockopt diiaa shutdown di
finit_module dax init_module ana delete_module ax
epoll_ctl didi epoll_wait daii epoll_create1 x pipe a pipe2 ax eventfd2 ix memfd_create ax inotify_add_watch dpx
setuid i setgid i setresuid iii setresgid iii setpgid ii getpgid i prlimit64 iiaa setrlimit ia getrlimit ia
prctl ixxxx arch_prctl xa futex aii nanosleep aa clock_nanosleep iiaa rt_sigaction saan rt_sigprocmask iaan
sched_setaffinity ina sched_getaffinity ina perf_event_open aiiix bpf ian seccomp ixa ptrace iiaa
quotactl xpia acct p uselib p fallocate dinn flock di sync_file_range dnnx copy_file_range dadanx splice dadanx
fsopen ax fsconfig dxaai fsmount dxx move_mount DpDpx open_tree Dpx mount_setattr Dpxan landlock_create_ruleset anx
"""
_AT_FDCWD = -100
_ACCESS = ("O_RDONLY", "O_WRONLY", "O_RDWR")
# The generic ones; arm, arm64 and powerpc have other bits for some.
_OPEN = {
    0o100: "O_CREAT", 0o200: "O_EXCL", 0o400: "O_NOCTTY", 0o1000: "O_TRUNC", 0o2000: "O_APPEND", 0o4000: "O_NONBLOCK",
    0o200000: "O_DIRECTORY", 0o400000: "O_NOFOLLOW", 0o2000000: "O_CLOEXEC", 0o10000000: "O_PATH",
}  # fmt: skip
_GENERIC_FLAGS = re.compile(r"x86_64|i[3-6]86|x86|s390x?|riscv.*|loongarch.*")


def worded(name: str, registers: Sequence[int], paths: Sequence[str], *, arch: str = "") -> list[str] | None:
    """``['AT_FDCWD', '"/etc/passwd"', 'O_RDONLY|O_CLOEXEC']``; None for a system call that is not known here.

    ``paths`` are those that it named, in order; one that was not read is its address.
    """
    kinds = _known().get(name)
    return None if kinds is None else list(_words(kinds, registers, list(paths), arch))


@cache
def _known() -> dict[str, str]:
    words = _KINDS.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _words(kinds: str, registers: Sequence[int], paths: list[str], arch: str) -> Iterator[str]:
    flags = 0
    for kind, value in zip(kinds, registers, strict=False):
        low = value & 0xFFFFFFFF
        if kind == "m" and "o" in kinds and not flags & 0o100:
            return  # only a file that is created has a mode
        if kind == "p" and value:
            yield f'"{paths.pop(0)}"' if paths else hex(value)
        elif kind in "ap":
            yield hex(value) if value else "NULL"
        elif kind == "D" and _int(low) == _AT_FDCWD:
            yield "AT_FDCWD"
        elif kind in "dDis":
            yield str(_int(low))
        elif kind == "o":
            flags = low
            yield open_flags(low, arch=arch) or hex(low)
        elif kind == "m":
            yield f"0{low & 0o7777:o}"
        else:
            yield str(value) if kind == "n" else hex(value)


def _int(low: int) -> int:
    return low - (1 << 32) if low >> 31 else low


def open_flags(flags: int, *, arch: str) -> str:
    """``O_RDWR|O_CREAT``; "" on an architecture that has other bits."""
    if not _GENERIC_FLAGS.fullmatch(arch):
        return ""
    names = [_ACCESS[flags & 3] if flags & 3 < 3 else "3"]
    rest = flags & ~3
    for bit, name in _OPEN.items():
        if rest & bit:
            names.append(name)
            rest &= ~bit
    return "|".join([*names, *([hex(rest)] if rest else [])])

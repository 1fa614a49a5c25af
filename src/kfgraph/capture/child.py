"""The traced command: forked, held at the entry of its execve, released, waited for.

The recorder needs a pid before anything interesting runs, and nothing of Python may run in that pid
once it is recorded. So a keeper is forked, asks to be ptraced, and spawns the command. What it spawns
is ptraced from its first instruction, and stepped up to the entry of its execve system call, where it
stops inside the kernel. Releasing it is a PTRACE_DETACH: the next thing it does is the exec itself.
The keeper is left, waits for the command, and passes on how it ended.

It is spawned, not forked, because a spawned process shares its parent's memory until it execs: a fork
of a Python process has to give back 50,000 pages and more in that exec, each of them a call recorded.

Where ptrace is not allowed (Yama's scope 3, or kfgraph is itself traced), the forked process is the
command itself: it blocks in a read of a pipe, and some Python runs, and is recorded, before the exec.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import pwd
import select
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from kfgraph.capture.signals import SignalMask
from kfgraph.errors import CaptureError, CommandNotExecutable, CommandNotFound, UsageError

# linux/ptrace.h
_TRACEME, _CONT, _DETACH, _SYSCALL, _SETOPTIONS, _GETEVENTMSG = 0, 7, 17, 24, 0x4200, 0x4201
_O_TRACESYSGOOD, _O_TRACEVFORK, _O_EXITKILL = 1, 4, 0x100000
_VFORKED = signal.SIGTRAP | 2 << 8
_LAST_NUMBER = 4095  # nothing is mapped below (vm.mmap_min_addr)
PR_SET_PDEATHSIG = 1  # linux/prctl.h
KEYS = (signal.SIGINT, signal.SIGQUIT)
"""What a terminal's keys send, to all that run in its foreground."""
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where insmod and trace-cmd are; a plain user's PATH may lack them."""
_SYSCALL_STOP = signal.SIGTRAP | 0x80


class KeeperKilled(CaptureError):
    """The process between kfgraph and the command is gone."""


@dataclass(frozen=True)
class User:
    """Whom the command runs as."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True)
class Command:
    """What is run: ``path`` is the file, ``argv`` what it is told (its own name first).

    ``own_group``: it gets a process group of its own, and a key's signal goes to all of that. Else the terminal sees
    to it.
    """

    path: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str = ""
    user: User | None = None
    own_group: bool = False


def find_command(argv: Sequence[str], *, env: Mapping[str, str], cwd: str = "") -> str:
    """The absolute path of ``argv[0]``, searched in ``env``'s PATH as execvp would.

    Raises:
        CommandNotFound: nothing there (127).
        CommandNotExecutable: there, but no executable file (126).
    """
    name = argv[0]
    if os.sep not in name:
        # The command is started in cwd, and so is the search.
        folders = env.get("PATH", os.defpath).split(os.pathsep)
        found = shutil.which(name, path=os.pathsep.join(os.path.join(cwd, folder) for folder in folders))  # noqa: PTH118
        if found is None:
            elsewhere = shutil.which(name, path=os.pathsep.join(SBIN))
            where = f"it is {elsewhere}, which is not in PATH" if elsewhere else "its name is looked up in PATH"
            hint = where if elsewhere else f"{where}; give the path"
            raise CommandNotFound(f"{name}: command not found", hint=hint)
        return os.path.abspath(found)  # noqa: PTH100 (resolve() would follow links: busybox looks at its name)
    path = Path(cwd or ".").absolute() / name
    try:
        path.stat()
    except PermissionError as problem:
        raise CommandNotExecutable(f"{name}: {problem.strerror}") from None
    except FileNotFoundError:
        raise CommandNotFound(f"{name}: no such file") from None
    except OSError as problem:
        raise CommandNotFound(f"{name}: {problem.strerror}") from None
    if path.is_dir() or not os.access(path, os.X_OK):
        raise CommandNotExecutable(f"{name}: not an executable file", hint=f"chmod +x {name}, or name its interpreter")
    return str(path)


def with_sbin(path: str) -> str:
    """``path``, a PATH, with the folders of :data:`SBIN` that it lacks behind it."""
    folders = path.split(os.pathsep)
    return os.pathsep.join([*folders, *(folder for folder in SBIN if folder not in folders)])


def find_user(name: str, *, env: Mapping[str, str]) -> User:
    """The user ``name``; ``auto``: the one who called sudo.

    Raises:
        UsageError: the name is empty: a script's variable that was not set must not mean root.
        CaptureError: no such user, or ``auto`` outside sudo.
    """
    if not name.strip():
        raise UsageError("--user: the name is empty", hint="--user NAME, or --user auto for the one who called sudo")
    if name == "auto":
        if "SUDO_USER" not in env:
            raise CaptureError("--user auto: kfgraph was not started through sudo", hint="--user NAME")
        name = env["SUDO_USER"]
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        raise CaptureError(f"--user {name}: no such user") from None
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


class Child:
    """The command's process, from the hold to the exit status.

    ``pid`` is the command's. ``released``: it was let go, and is no longer to be killed. Once it has ended,
    ``killed_by`` is the signal that ended it: the status alone does not tell that from an exit with 128 and more.
    """

    def __init__(self, command: Command, *, signal_mask: SignalMask) -> None:
        """Fork and hold. ``signal_mask`` is the mask that the command is to have.

        Raises:
            CaptureError: the directory or the user cannot be changed to; no more processes.
        """
        self.command = command
        self.killed_by = 0
        self.released = False
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self._libc.ptrace.restype = ctypes.c_long
        self._report, report = os.pipe2(os.O_CLOEXEC)
        self._end, end = os.pipe2(os.O_CLOEXEC)
        gate, self._gate = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        try:
            self._keeper = os.fork()
        except OSError as problem:
            raise CaptureError(f"cannot start the command: {problem.strerror}") from problem
        if self._keeper == 0:
            os.close(self._gate)
            self._run(parent, report, end, gate, signal_mask)
        for used in (report, end, gate):
            os.close(used)
        for read in (self._report, self._end):
            os.set_blocking(read, False)
        self.pid = self._keeper
        try:
            self.held_in_exec = self._hold()
        except BaseException:
            self.abandon()  # else it would go on when kfgraph ends
            raise

    def _run(self, parent: int, report: int, end: int, gate: int, signal_mask: SignalMask) -> NoReturn:
        # In the keeper. Whatever fails is told to the parent; nothing may return or raise out of here.
        command, step = self.command, "prepare the command"
        # Python ignores these, and an ignored signal survives exec.
        defaults = (signal.SIGPIPE, signal.SIGXFSZ)
        try:
            if command.cwd:
                step = f"change to {command.cwd}"
                os.chdir(command.cwd)
            if command.user:
                step = f"become the user {command.user.name}"
                os.initgroups(command.user.name, command.user.gid)
                os.setgid(command.user.gid)
                os.setuid(command.user.uid)
            step = "exec"
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(125)  # kfgraph is gone
            if self._libc.ptrace(_TRACEME, 0, None, None) == 0:
                os.kill(os.getpid(), signal.SIGSTOP)
                # What the command would not get anyway: in an exec that hangs it would still hold kfgraph's lock.
                _close(fd for fd in _open_files() if fd not in (report, end) and not _inherited(fd))
                words = (command.path, command.argv, command.env)
                spawn = partial(os.posix_spawn, *words, setsigmask=signal_mask, setsigdef=defaults)
                pid = spawn(setpgroup=0) if command.own_group else spawn()
                _close(fd for fd in _open_files() if fd != end)  # others may wait for the end of a pipe
                os.write(end, str(os.waitpid(pid, 0)[1]).encode())
                os._exit(0)
            os.write(report, b"ready")
            if not os.read(gate, 1):
                os._exit(125)  # kfgraph is gone
            self._libc.prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)
            if command.own_group:
                os.setpgid(0, 0)
            for number in defaults:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, signal_mask)
            os.execve(command.path, command.argv, command.env)
        except OSError as problem:
            os.write(report, f"{step}\n{problem.errno}".encode())
        except BaseException as problem:
            os.write(report, f"{step}: {problem!r}\n0".encode("utf-8", "backslashreplace"))
        finally:
            os._exit(126)

    def _hold(self) -> bool:
        # In the parent: True once the command stands at the entry of execve, False if it waits at the gate.
        while True:
            pid, status = os.waitpid(self._keeper, os.WNOHANG | os.WUNTRACED)
            if pid and not os.WIFSTOPPED(status):
                raise self._failure()
            # A stop may also be a Ctrl-Z that came before it was traced.
            if pid and self._ptrace(_SETOPTIONS, _O_TRACESYSGOOD | _O_TRACEVFORK | _O_EXITKILL):
                break
            if self._readable():
                told = _read(self._report)
                if told == b"ready":
                    return False
                raise self._failed_step(told)
        self._go_to(_CONT, lambda stopped_by: stopped_by == _VFORKED)
        spawned = ctypes.c_ulong()
        if not self._ptrace(_GETEVENTMSG, ctypes.addressof(spawned)):
            raise self._failure()
        self._ptrace(_DETACH, 0)
        self.pid = spawned.value
        _, status = os.waitpid(self.pid, 0)
        if not os.WIFSTOPPED(status):
            raise self._failure()
        self._go_to(_SYSCALL, lambda stopped_by: stopped_by == _SYSCALL_STOP and self._at_exec())
        return True

    def _go_to(self, request: int, there: Callable[[int], bool]) -> None:
        # Let the process go on, from stop to stop, until it is there. What stops it is its status without the low byte.
        inject = 0
        while True:
            self._ptrace(request, inject)
            _, status = os.waitpid(self.pid, 0)
            if not os.WIFSTOPPED(status):
                raise self._failure()
            stopped_by = status >> 8
            if there(stopped_by):
                return
            own = stopped_by in (_SYSCALL_STOP, signal.SIGSTOP, signal.SIGTRAP)
            inject = 0 if own else stopped_by

    def _at_exec(self) -> bool:
        # Told by its first argument, the path: system call numbers differ between architectures. glibc makes 130 calls
        # before it, most of them with a signal's number there.
        path = os.fsencode(self.command.path) + b"\0"
        try:
            fields = _read_file(f"/proc/{self.pid}/syscall", 200).split()
            address = int(fields[1], 16) if len(fields) > 1 else 0
            return address > _LAST_NUMBER and _read_file(f"/proc/{self.pid}/mem", len(path), address) == path
        except PermissionError as problem:
            hint = "without the capability CAP_SYS_PTRACE, not with --user" if self.command.user else ""
            why = f"cannot hold the command: {problem.filename}: {problem.strerror}"
            raise CaptureError(why, hint=hint) from problem
        except (OSError, OverflowError):
            return False  # the argument of some other call: no address; or it was killed, as the next wait says

    def _ptrace(self, request: int, data: int) -> bool:
        # False: killed meanwhile; waitpid says so.
        if self._libc.ptrace(request, self.pid, None, data) == 0:
            return True
        number = ctypes.get_errno()
        if number != errno.ESRCH:
            raise CaptureError(f"cannot hold the command: {os.strerror(number)}")
        return False

    def _readable(self) -> bool:
        return bool(select.select([self._report], [], [], 0.002)[0])

    def _failure(self) -> CaptureError:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._keeper, 0)
        if told := _read(self._report):
            return self._failed_step(told)
        return CaptureError("the command was killed before it was started")

    def _failed_step(self, told: bytes) -> CaptureError:
        step, _, number = told.decode(errors="replace").partition("\n")
        reason = os.strerror(int(number)) if number not in ("", "0") else "a bug"
        name = self.command.argv[0]
        if step != "exec":
            return CaptureError(f"cannot {step}: {reason}")
        if number == str(errno.ENOENT):
            return CommandNotFound(f"{name}: cannot be started: its interpreter is missing, or the file is gone")
        hint = "it is not a program for this machine, or a script without #!" if number == str(errno.ENOEXEC) else ""
        return CommandNotExecutable(f"{name}: cannot be executed: {reason}", hint=hint)

    def release(self) -> None:
        """Let it go: its exec, and all that follows, is its own. Does not wait for the exec, which may hang."""
        self.released = True
        if self.held_in_exec:
            if not self._ptrace(_DETACH, 0):
                os.waitpid(self.pid, 0)  # its tracer is told of its end before its keeper is
        else:
            os.write(self._gate, b"g")

    def poll(self) -> int | None:
        """The exit status (128+n for a signal) if it has ended; None while it runs.

        Raises:
            CommandNotExecutable, CommandNotFound: the kernel refused the exec.
            KeeperKilled: nobody knows how it ended, or whether it has.
        """
        pid, status = os.waitpid(self._keeper, os.WNOHANG)
        if not pid:
            return None
        if told := _read(self._report):
            raise self._failed_step(told)
        if self.held_in_exec:
            if not (told := _read(self._end)):
                raise KeeperKilled("the process that waited for the command was killed: how it ended is not known")
            status = int(told)
        self.killed_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        return shell_status(status)

    def signal(self, number: int) -> None:
        """Send it a signal; nothing if it is gone, or has become another user's."""
        send = os.killpg if self.command.own_group and number in KEYS else os.kill
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(self.pid, number)

    def abandon(self) -> None:
        """Kill it while it is held: the recording could not be started."""
        for pid in (self.pid, self._keeper):
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


@contextlib.contextmanager
def held(command: Command | None, *, signal_mask: SignalMask) -> Iterator[Child | None]:
    """The command's process, held until it is released; killed on the way out if it never was. None: no command.

    Raises:
        CaptureError: as :class:`Child`.
    """
    if command is None:
        yield None
        return
    child = Child(command, signal_mask=signal_mask)
    try:
        yield child
    finally:
        if not child.released:
            child.abandon()


def _read_file(name: str, n_bytes: int, offset: int = 0) -> bytes:
    handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(handle, n_bytes, offset)
    finally:
        os.close(handle)


def _open_files() -> list[int]:
    return [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]


def _inherited(handle: int) -> bool:
    try:
        return os.get_inheritable(handle)
    except OSError:  # with it the list was read
        return False


def _close(handles: Iterable[int]) -> None:
    for handle in handles:
        with contextlib.suppress(OSError):
            os.close(handle)


def _read(pipe: int) -> bytes:
    # Another process may still have the other end: a command whose exec hangs, after its keeper was killed.
    try:
        return os.read(pipe, 4096)
    except BlockingIOError:
        return b""


def signal_name(number: int) -> str:
    """``SIGSEGV``; ``signal 40`` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def shell_status(status: int) -> int:
    """A wait status as shells pass it on: 0..255, 128+n for signal n."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

"""The traced command: forked, held at the entry of its execve, released, waited for.

The recorder needs a pid before anything interesting runs, and nothing of Python may run in that pid
once it is recorded. So the child asks to be ptraced, and is stepped up to the entry of its execve
system call, where it stops inside the kernel. Releasing it is a PTRACE_DETACH: the next thing it
does is the exec itself. Where ptrace is not allowed (Yama's scope 3, or kfgraph is itself traced),
the child blocks in a read of a pipe instead, and a few instructions of Python run before the exec.
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from kfgraph.errors import CaptureError, CommandNotExecutable, CommandNotFound, UsageError

# linux/ptrace.h
_TRACEME, _SETOPTIONS, _SYSCALL, _DETACH = 0, 0x4200, 24, 17
_O_TRACESYSGOOD, _O_EXITKILL = 1, 0x100000
SignalMask = set[int | signal.Signals]
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where insmod and trace-cmd are; a plain user's PATH may lack them."""
_SYSCALL_STOP = signal.SIGTRAP | 0x80


@dataclass(frozen=True)
class User:
    """Whom the command runs as."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True)
class Command:
    """What is run: ``path`` is the file, ``argv`` what it is told (its own name first)."""

    path: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str = ""
    user: User | None = None


def find_command(argv: Sequence[str], *, env: Mapping[str, str], cwd: str = "") -> str:
    """The absolute path of ``argv[0]``, searched in ``env``'s PATH as execvp would.

    Raises:
        CommandNotFound: nothing there (127).
        CommandNotExecutable: there, but no executable file (126).
    """
    name = argv[0]
    if os.sep not in name:
        found = shutil.which(name, path=env.get("PATH", os.defpath))
        if found is None:
            elsewhere = shutil.which(name, path=os.pathsep.join(SBIN))
            where = f"it is {elsewhere}, which is not in PATH" if elsewhere else "its name is looked up in PATH"
            hint = where if elsewhere else f"{where}; give the path"
            raise CommandNotFound(f"{name}: command not found", hint=hint)
        return os.path.abspath(found)  # noqa: PTH100 (resolve() would follow links: busybox looks at its name)
    path = Path(cwd or ".").absolute() / name
    if not path.exists():
        raise CommandNotFound(f"{name}: no such file")
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
    """The command's process, from the hold to the exit status."""

    def __init__(self, command: Command, *, signal_mask: SignalMask) -> None:
        """Fork and hold. ``signal_mask`` is the mask that the command is to have.

        Raises:
            CaptureError: the directory or the user cannot be changed to; no more processes.
        """
        self.command = command
        self.killed_by = 0  # the signal: the status alone does not tell it from an exit with 128 and more
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self._libc.ptrace.restype = ctypes.c_long
        self._report, report = os.pipe2(os.O_CLOEXEC)
        gate, self._gate = os.pipe2(os.O_CLOEXEC)
        try:
            self.pid = os.fork()
        except OSError as problem:
            raise CaptureError(f"cannot start the command: {problem.strerror}") from problem
        if self.pid == 0:
            os.close(self._gate)
            self._run(report, gate, signal_mask)
        os.close(report)
        os.close(gate)
        self.held_in_exec = self._hold()

    def _run(self, report: int, gate: int, signal_mask: SignalMask) -> NoReturn:
        # In the child. Whatever fails is told to the parent; nothing may return or raise out of here.
        command, step = self.command, "prepare the command"
        try:
            for number in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)  # Python ignores them, and an ignored signal survives exec
            signal.pthread_sigmask(signal.SIG_SETMASK, signal_mask)
            if command.cwd:
                step = f"change to {command.cwd}"
                os.chdir(command.cwd)
            if command.user:
                step = f"become the user {command.user.name}"
                os.initgroups(command.user.name, command.user.gid)
                os.setgid(command.user.gid)
                os.setuid(command.user.uid)
            step = "exec"
            if self._libc.ptrace(_TRACEME, 0, None, None) == 0:
                os.kill(os.getpid(), signal.SIGSTOP)
            else:
                os.write(report, b"ready")
                if not os.read(gate, 1):
                    os._exit(125)  # kfgraph is gone
            os.execve(command.path, command.argv, command.env)
        except OSError as problem:
            os.write(report, f"{step}\n{problem.errno}".encode())
        except BaseException as problem:
            os.write(report, f"{step}: {problem!r}\n0".encode("utf-8", "backslashreplace"))
        finally:
            os._exit(126)

    def _hold(self) -> bool:
        # In the parent: True once the child stands at the entry of execve, False if it waits at the gate.
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                break
            if pid:
                raise self._failure(status)
            if self._readable():
                told = os.read(self._report, 4096)
                if told == b"ready":
                    return False
                raise self._failed_step(told)
        self._ptrace(_SETOPTIONS, _O_TRACESYSGOOD | _O_EXITKILL)
        inject = 0
        while True:
            self._ptrace(_SYSCALL, inject)
            _, status = os.waitpid(self.pid, 0)
            if not os.WIFSTOPPED(status):
                raise self._failure(status)
            stopped_by = os.WSTOPSIG(status)
            inject = 0 if stopped_by in (_SYSCALL_STOP, signal.SIGSTOP, signal.SIGTRAP) else stopped_by
            if stopped_by == _SYSCALL_STOP and self._at_exec():
                return True

    def _at_exec(self) -> bool:
        # Told by its first argument, the path: system call numbers differ between architectures.
        path = os.fsencode(self.command.path) + b"\0"
        fields = Path(f"/proc/{self.pid}/syscall").read_text().split()
        if len(fields) < 2 or not int(fields[1], 16):
            return False
        try:
            with Path(f"/proc/{self.pid}/mem").open("rb", buffering=0) as memory:
                memory.seek(int(fields[1], 16))
                return memory.read(len(path)) == path
        except (OSError, OverflowError):
            return False  # the argument of some other call: no address

    def _ptrace(self, request: int, data: int) -> None:
        if self._libc.ptrace(request, self.pid, None, data) != 0:
            number = ctypes.get_errno()
            if number != errno.ESRCH:  # killed meanwhile: waitpid says so
                raise CaptureError(f"cannot hold the command: {os.strerror(number)}")

    def _readable(self) -> bool:
        return bool(select.select([self._report], [], [], 0.002)[0])

    def _failure(self, status: int) -> CaptureError:
        told = os.read(self._report, 4096)
        if told:
            return self._failed_step(told)
        return CaptureError(f"the command ended before it was started (status {status})")

    def _failed_step(self, told: bytes) -> CaptureError:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        step, _, number = told.decode(errors="replace").partition("\n")
        reason = os.strerror(int(number)) if number not in ("", "0") else "a bug"
        name = self.command.argv[0]
        if step != "exec":
            return CaptureError(f"cannot {step}: {reason}")
        if number == str(errno.ENOENT):
            return CommandNotFound(f"{name}: cannot be started: its interpreter is missing, or the file is gone")
        hint = "it is no program for this machine, or a script without #!" if number == str(errno.ENOEXEC) else ""
        return CommandNotExecutable(f"{name}: cannot be executed: {reason}", hint=hint)

    def release(self) -> None:
        """Let it go: its exec, and all that follows, is its own.

        Raises:
            CommandNotExecutable, CommandNotFound: the kernel refused the exec.
        """
        if self.held_in_exec:
            self._ptrace(_DETACH, 0)
        else:
            os.write(self._gate, b"g")
        if told := os.read(self._report, 4096):
            raise self._failed_step(told)

    def poll(self) -> int | None:
        """The exit status (128+n for a signal) if it has ended; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.killed_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        return shell_status(status)

    def signal(self, number: int) -> None:
        """Send it a signal; nothing if it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def abandon(self) -> None:
        """Kill it while it is held: the recording could not be started."""
        self.signal(signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def signal_name(number: int) -> str:
    """``SIGSEGV``; ``signal 40`` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def shell_status(status: int) -> int:
    """A wait status as shells pass it on: 0..255, 128+n for signal n."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

"""The trace file: written in a folder beside its place, put there whole, owned by who called sudo."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import tempfile
from pathlib import Path

from kfgraph.errors import CaptureError
from kfgraph.model.companion import Companion
from kfgraph.model.files import COMPANION_SUFFIX

# The first bytes of every trace.dat (trace-cmd.dat.v7(5)).
MAGIC = b"\x17\x08\x44tracing"
_MAX_COMPANION = 64 << 20
_FOLDER_PREFIX = ".kfgraph-"


class OutputFile:
    """Where the recording goes. ``folder`` is for the recorder, ``temporary`` the path of its file there.

    A context manager: what is not in place when it is left, and is not to be kept, is removed.
    """

    def __init__(self, path: str, *, force: bool = False) -> None:
        """Make the folder for the recorder beside the file.

        Raises:
            CaptureError: the folder cannot be written to; the path holds something that is no trace.
        """
        self.path = Path(os.path.realpath(path))
        self.shown = path
        self._beside = Path(f"{self.path}{COMPANION_SUFFIX}")
        self._force = force
        self._refuse()
        try:
            self.folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=self.path.parent))
        except OSError as problem:
            raise CaptureError(
                f"cannot write {path}: {self.path.parent}: {problem.strerror}", hint="-o FILE writes somewhere else"
            ) from problem
        self.temporary = self.folder / "trace.dat"
        self._kept = False

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def _refuse(self) -> None:
        _refuse_to_overwrite(self.path, self.shown, force=self._force)
        _refuse_foreign_companion(self._beside, force=self._force)

    @property
    def size(self) -> int:
        """Bytes written so far, parts included; 0 when there is nothing."""
        total = 0
        with contextlib.suppress(OSError):
            for part in self.folder.iterdir():
                total += part.stat().st_size if part.is_file() else 0
        return total

    def keep(self) -> None:
        """Leave the folder where it is, for whoever called sudo: what is in it may be saved by hand."""
        self._kept = True
        give_to_caller(self.folder)

    def free_bytes(self) -> int:
        """Room left on its file system."""
        return shutil.disk_usage(self.folder).free

    def commit(self, companion: Companion) -> None:
        """Put the recording and its companion in place. Whatever happens, the recording is not thrown away.

        Raises:
            CaptureError: it cannot be moved there, or something that is no trace has come there since; the hint says
                where it is.
        """
        self._kept = True
        try:
            self._refuse()  # again: the command may have written there
        except CaptureError as problem:
            problem.hint = self._kept_hint()
            raise
        except OSError as problem:
            message = f"cannot look at what is at {self.shown} now: {problem.strerror}"
            raise CaptureError(message, hint=self._kept_hint()) from problem
        draft = self.folder / "companion"
        try:
            try:
                draft.write_text(json.dumps(companion.to_dict(), indent=1) + "\n")
                give_to_caller(draft)
                draft.replace(self._beside)
            except OSError:  # a full disk; it is never required, but an older trace's would mislead
                with contextlib.suppress(OSError):  # no file has so long a name
                    self._beside.unlink()
            give_to_caller(self.temporary)
            self.temporary.replace(self.path)
        except OSError as problem:
            raise CaptureError(
                f"cannot put the recording at {self.shown}: {problem.strerror}", hint=self._kept_hint()
            ) from problem
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kept_hint(self) -> str:
        self.keep()
        return f"the recording is in {self.temporary}"

    def discard(self) -> None:
        """Remove what is not in place yet, unless it is to be kept."""
        if self._kept:
            return
        shutil.rmtree(self.folder, ignore_errors=True)


def _refuse_foreign_companion(beside: Path, *, force: bool) -> None:
    """The companion goes where one of kfgraph's lies, or nothing; the same rule as for the trace."""
    if not os.path.lexists(beside):
        return
    if not beside.is_file():
        raise CaptureError(f"cannot write {beside}: it is not a regular file", hint="-o FILE names another trace file")
    if force or _is_companion(beside):
        return
    hint = "-o FILE writes elsewhere; --force overwrites it"
    raise CaptureError(f"{beside} exists and was not written by kfgraph", hint=hint)


def _is_companion(path: Path) -> bool:
    try:
        with path.open("rb") as handle:
            text = handle.read(_MAX_COMPANION)
        data = json.loads(text) if text.strip() else {"format": 0, "kfgraph_version": ""}
        return isinstance(data, dict) and {"format", "kfgraph_version"} <= data.keys()
    except (OSError, ValueError, RecursionError):
        return False


def _refuse_to_overwrite(target: Path, shown: str, *, force: bool) -> None:
    try:
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = 0
    except OSError as problem:  # a name that is too long, for one
        message = f"cannot write {shown}: {problem.strerror}"
        raise CaptureError(message, hint="-o FILE writes somewhere else") from problem
    if stat.S_ISDIR(mode) or shown.endswith(os.sep):
        raise CaptureError(f"cannot write {shown}: it is a directory", hint="-o FILE names the trace file")
    if not mode:
        return
    if not stat.S_ISREG(mode):
        raise CaptureError(f"cannot write {shown}: it is not a regular file", hint="-o FILE names the trace file")
    if force:
        return
    with target.open("rb") as handle:
        head = handle.read(len(MAGIC))
    if head and head != MAGIC:
        raise CaptureError(f"{shown} exists and is not a trace", hint="-o FILE writes elsewhere; --force overwrites it")


def give_to_caller(path: Path) -> None:
    """Under sudo, let a file, or a folder with what is in it, belong to the one who typed the command.

    Not every file system has owners: where it is refused, root keeps it.
    """
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() == 0 and uid.isdigit() and gid.isdigit():
        inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
        for each in (path, *inside):
            with contextlib.suppress(OSError):
                os.chown(each, int(uid), int(gid), follow_symlinks=False)

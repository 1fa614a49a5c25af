"""One recording at a time, and a note of what to put back should this process be killed.

``session.json`` is written before the first change to the tracer and removed after the last thing is
put back. One that has no living owner is what a killed run left.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfgraph.capture import probes, tracefs
from kfgraph.capture.output import give_to_caller
from kfgraph.capture.processes import Process
from kfgraph.capture.progress import Tell, unheard
from kfgraph.capture.recorder import find_recorder
from kfgraph.capture.salvage import by_hand, holds_data, parts_of, salvage
from kfgraph.capture.tracefs import Snapshot, Tracefs
from kfgraph.capture.verify import Verdict
from kfgraph.errors import CaptureError, MachineError

_STATE, _LOCK = "session.json", "lock"


def state_folder() -> Path:
    """Where the state lives: gone after a reboot, as the tracer's settings are."""
    if os.geteuid() == 0:
        return Path("/run/kfgraph-trace")
    return Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}") / "kfgraph"


@dataclass(frozen=True)
class Leftovers:
    """What a killed run left: its command, its recorder if that still runs, its unfinished file."""

    owner: Process
    argv: tuple[str, ...]
    recorder: Process | None
    tracefs_root: Path
    instances: tuple[str, ...]
    snapshot: Snapshot
    folder: Path

    @property
    def text(self) -> str:
        """One sentence for people."""
        return f"a killed run (pid {self.owner.pid}: {' '.join(self.argv)}) left the tracer changed"


class Session:
    """The lock, and the state file.

    A context manager: entering it clears what a killed run left and takes the tracer, leaving it puts the tracer back.
    """

    def __init__(self, fs: Tracefs, *, argv: tuple[str, ...], folder: Path, tell: Tell = unheard) -> None:
        """``argv`` is what is recorded, ``folder`` is where the recorder writes.

        ``tell`` takes what was done about a killed run, and after a failure what cannot be put back; ``failed`` holds
        that too.
        """
        self._fs = fs
        self._tell = tell
        self._state = state_folder() / _STATE
        self._locks: list[int] = []
        self.failed: list[str] = []
        self._note: dict[str, Any] = {
            "boot": _boot_id(),
            "owner": vars(Process.of(os.getpid())),
            "argv": list(argv),
            "tracefs": str(fs.root),
            "folder": str(folder),
            "recorder": None,
            "instances": [],
        }

    def __enter__(self) -> Session:
        """Take the tracer.

        Raises:
            CaptureError: another kfgraph records now, or another program uses the tracer.
            MachineError: the kernel has no function_graph.
        """
        for sentence in restore_leftovers():
            self._tell(sentence)
        try:
            self._locks.append(_take_lock())
            self._locks.append(_lock_tracer(self._fs))
            tracefs.check_usable(self._fs)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end()
        if kind is not None:
            for name in self.failed:
                self._tell(f"could not be put back in the tracer: {name}")

    def begin(self) -> Snapshot:
        """Take the snapshot and write the state file: from here on things may change."""
        self._snapshot = tracefs.take_snapshot(self._fs)
        self._note["snapshot"] = self._snapshot.to_dict()
        self._save()
        return self._snapshot

    def note_recorder(self, pid: int, *, instances: tuple[str, ...]) -> None:
        """Remember the recorder's process, and the instances that it was told to make."""
        self._note["recorder"] = vars(Process.of(pid))
        self._note["instances"] = list(instances)
        self._save()

    def _save(self) -> None:
        draft = self._state.with_suffix(".new")
        draft.write_text(json.dumps(self._note))
        draft.replace(self._state)

    def _end(self) -> None:
        """Put the tracer back, forget the state, free the locks."""
        if "snapshot" in self._note:
            try:
                self.failed = _put_back(self._fs, self._snapshot, self._note["instances"])
                self._state.unlink(missing_ok=True)
            except OSError as problem:  # the recording is worth more than this; the next run tries again
                self.failed = [f"{problem.filename or 'tracefs'}: {problem.strerror}"]
            del self._note["snapshot"]
        for lock in self._locks:
            fcntl.flock(lock, fcntl.LOCK_UN)  # a command whose exec hangs may still hold a copy
            os.close(lock)


def _lock_tracer(fs: Tracefs) -> int:
    # The notes are each user's own, the tracer is everybody's.
    try:
        handle = os.open(fs.root / "current_tracer", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        raise CaptureError(f"cannot read {fs.root}/current_tracer: {problem.strerror}") from problem
    if not _locked(handle):
        hint = "wait for it to end; ps -ef shows it"
        raise CaptureError("the tracer is in use by another user's kfgraph", hint=hint)
    return handle


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        os.close(handle)
        return False


def _take_lock() -> int:
    folder = state_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as problem:
        raise CaptureError(f"cannot keep notes in {folder}: {problem.strerror}") from problem
    if not _locked(handle):
        note = _read_note() or {}
        who = f"kfgraph, pid {note['owner']['pid']}: {' '.join(note['argv'])}" if note else "another kfgraph"
        raise CaptureError(f"the tracer is in use by {who}", hint="wait for it to end, or stop it")
    return handle


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _read_note() -> Mapping[str, Any] | None:
    try:
        note = json.loads((state_folder() / _STATE).read_text())
        return note if note["boot"] == _boot_id() and "pid" in note["owner"] and note["argv"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find_leftovers() -> Leftovers | None:
    """What a killed run left on this machine since it booted; None if nothing, or if its owner lives."""
    note = _read_note()
    if note is None:
        return None
    try:
        found = Leftovers(
            Process(**note["owner"]),
            tuple(note["argv"]),
            Process(**note["recorder"]) if note["recorder"] else None,
            Path(note["tracefs"]),
            tuple(note["instances"]),
            Snapshot.from_dict(note["snapshot"]),
            Path(note["folder"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
    return None if found.owner.alive else found


def restore_leftovers() -> list[str]:
    """Clear what ``find_leftovers`` finds; sentences that say what was done, none if there was nothing.

    What the killed run had recorded is saved where it can be, and else kept; the sentences say where it is.

    Raises:
        CaptureError: another kfgraph records now.
        OSError: the tracer cannot be written to.
    """
    if find_leftovers() is None:
        return []
    with contextlib.ExitStack() as locks:
        locks.callback(os.close, _take_lock())
        found = find_leftovers()
        if found is None:
            return []
        locks.callback(os.close, _lock_tracer(Tracefs(found.tracefs_root)))  # another user may record now
        return _restore(found)


def _restore(found: Leftovers) -> list[str]:
    said = [f"put back what {found.text.removesuffix(' left the tracer changed')} had changed in the tracer"]
    if found.recorder and found.recorder.alive:
        # Its own end of a recording first: it may be writing the last of the file.
        for number, patience_s in ((signal.SIGINT, 10.0), (signal.SIGKILL, 2.0)):
            with contextlib.suppress(ProcessLookupError):
                send = os.killpg if number == signal.SIGKILL else os.kill
                send(found.recorder.pid, number)
            until = time.monotonic() + patience_s
            while found.recorder.alive and time.monotonic() < until:
                time.sleep(0.05)
        said.append(f"ended its recorder (pid {found.recorder.pid})")
    fs = Tracefs(found.tracefs_root)
    if failed := _put_back(fs, found.snapshot, found.instances):
        said.append("could not put back " + ", ".join(failed))
    (state_folder() / _STATE).unlink(missing_ok=True)
    return [*said, *_save_recording(found.folder)]


def _put_back(fs: Tracefs, snapshot: Snapshot, instances: Iterable[str]) -> list[str]:
    return [
        *probes.remove(fs),
        *tracefs.remove_instances(fs, instances, snapshot),
        *tracefs.restore(fs, snapshot),
    ]


def _save_recording(folder: Path) -> Iterator[str]:
    """Save what lies in a killed run's folder; the folder goes if there is nothing."""
    recording = folder / "trace.dat"
    try:
        verdict = salvage(find_recorder(), recording)
    except MachineError as problem:  # no trace-cmd any more
        verdict = Verdict(usable=False, lacks=problem.message)
    if verdict.usable:
        for part in parts_of(recording):
            part.unlink()
        yield f"its recording, perhaps incomplete, is in {recording}"
    elif holds_data(parts_of(recording)):
        yield f"what it had recorded is in {folder}; to make a trace of it: {by_hand(recording)}"
    else:
        shutil.rmtree(folder, ignore_errors=True)
        return
    give_to_caller(folder)

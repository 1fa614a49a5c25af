"""What goes on while a recording is made, and who is told of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from kfgraph.capture.output import OutputFile
from kfgraph.capture.stats import CpuStats, read_stats
from kfgraph.capture.tracefs import Tracefs
from kfgraph.model.companion import Companion

PROGRESS_S = 0.5


@dataclass(frozen=True)
class Progress:
    """What goes on: ``stage`` is "arming", "recording" or "finishing"."""

    stage: str
    elapsed_s: float
    n_bytes: int
    stats: tuple[CpuStats, ...]


@dataclass(frozen=True)
class Watcher:
    """Who is told what goes on, twice a second; ``while_recording``: also while the command has the terminal.

    ``hand_over`` is called right before the command runs, with what is known of the recording by then, and may write.
    ``show`` None: nobody looks on, so nothing is counted for it.
    """

    show: Callable[[Progress], None] | None
    hand_over: Callable[[Companion], None]
    while_recording: bool = False


Tell = Callable[[str], None]
"""Takes a sentence for the user."""


def unheard(_: str) -> None:
    """Where nobody listens."""


class Reporter:
    """Tells the watcher, and not too often. ``begin`` is when the stage "recording" began, before that the first."""

    def __init__(self, watcher: Watcher | None, *, fs: Tracefs, output: OutputFile) -> None:
        self.stage = "arming"
        self.begin = time.monotonic()
        self._watcher = watcher
        self._fs = fs
        self._output = output
        self._last = 0.0

    @property
    def while_recording(self) -> bool:
        """Is somebody told while the command runs?"""
        return self._watcher is not None and self._watcher.while_recording

    def enter(self, stage: str) -> None:
        """The next stage begins."""
        self.stage = stage
        if stage == "recording":
            self.begin = time.monotonic()

    def report(self) -> None:
        """Tell, if it is time."""
        now = time.monotonic()
        if self._watcher is None or self._watcher.show is None or now - self._last < PROGRESS_S:
            return
        if self.stage != "recording" or self._watcher.while_recording:
            self._last = now
            self._watcher.show(Progress(self.stage, now - self.begin, self._output.size, read_stats(self._fs)))

    def hand_over(self, known: Companion) -> None:
        """The command is about to run."""
        if self._watcher is not None:
            self._watcher.hand_over(known)

"""``kfgraph trace`` inside a guest: reads the options from the shared folder, records, writes what came of it.

    trace-options    in   CaptureOptions as JSON
    trace-companion  out  the Companion as far as it is known when the command begins
    trace.dat        out  the recording
    recording        out  the Recording as JSON, or
    failure          out  message, hint and exit code of kfgraph's own failure
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from kfgraph.capture import tracefs
from kfgraph.capture.guest.agent import put
from kfgraph.capture.plan import CaptureOptions
from kfgraph.capture.progress import Watcher
from kfgraph.capture.run import record
from kfgraph.capture.tracefs import Tracefs
from kfgraph.errors import CaptureError, KfgraphError
from kfgraph.model.companion import Companion

OPTIONS, COMPANION, TRACE = "trace-options", "trace-companion", "trace.dat"
RECORDING, FAILURE = "recording", "failure"
DRAIN_PERCENT = 1
"""How full a buffer is when the recorder begins to read it, in a guest."""


def main(folder: Path) -> int:
    """Record; the exit status that ``kfgraph trace`` passes on."""
    options = CaptureOptions.from_dict(json.loads((folder / OPTIONS).read_text()))

    def begins(companion: Companion) -> None:
        # Should this kernel die, it is all that is known of the recording.
        put(folder / COMPANION, json.dumps(companion.to_dict()))
        put(folder / "stage", "running")

    try:
        fs = tracefs.find()
        _write_out_early(fs)
        recording = record(options, fs=fs, watcher=Watcher(None, begins))
    except (KfgraphError, KeyboardInterrupt) as problem:
        message, hint = getattr(problem, "message", "interrupted"), getattr(problem, "hint", "")
        code = problem.exit_code if isinstance(problem, CaptureError) else CaptureError.exit_code
        put(folder / FAILURE, json.dumps({"message": message, "hint": hint, "exit_code": code}))
        return code
    put(folder / RECORDING, json.dumps(recording.to_dict()))
    return recording.status


def _write_out_early(fs: Tracefs) -> None:
    # What the recorder has read outlives this kernel, what is in its buffer does not.
    with contextlib.suppress(OSError):
        fs.write("buffer_percent", str(DRAIN_PERCENT))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""A guest that ended before its recording did: the sentence for it, and its kernel's last words."""

from __future__ import annotations

import re

from kfgraph.capture.guest.virtme import GuestResult
from kfgraph.errors import CaptureError

_LAST_LINES = 40
# Of a stack that was taken while the graph was recorded, every second line.
_TRACERS_FRAME = re.compile(r"\] +\? \w*(ftrace|function_graph|trace_graph|return_to_handler)\w*")


class GuestFailure(CaptureError):
    """The guest ended before the recording did. ``said`` are the last lines of its kernel, from the trouble on."""

    def __init__(self, result: GuestResult) -> None:
        """The sentence for this end."""
        # The first complaint says why; the panic that follows only that it was fatal.
        panicked = any("Kernel panic" in line for line in result.trouble)
        release = result.image.release
        hint = "kfgraph doctor checks this machine; --guest-kernel list shows other kernels"
        if panicked:
            why = re.sub(r"^\[ *[\d.]+\] |Kernel panic - not syncing: ", "", result.trouble[0])
            message = f"the guest's kernel ({release}) panicked: {why}"
            hint = "its last words are above; this machine is untouched"
        elif result.end == "timeout":
            stages = {"booting": "was still booting", "preparing": "had not begun with the command"}
            doing = stages.get(result.stage, "had not finished")
            message = f"the guest {doing} after {result.seconds:.0f} s and was killed"
            hint = "--guest-timeout SECONDS gives it longer"
        elif result.end == "boot":
            message = f"{release} did not boot in the guest ({result.seconds:.0f} s)"
        else:
            message = f"the guest ({release}) ended before the command did"
        super().__init__(message, hint)
        self.result = result
        self.said = last_words(result)


def last_words(result: GuestResult, *, n_lines: int = _LAST_LINES) -> tuple[str, ...]:
    """The kernel's lines worth showing: from its first complaint on, else the last few; at most ``n_lines``."""
    if not result.trouble:
        return result.console[-10:]
    trouble = tuple(line for line in result.trouble if not _TRACERS_FRAME.search(line))
    if len(trouble) <= n_lines:
        return trouble
    n_left_out = len(trouble) - n_lines
    return (*trouble[: n_lines - 5], f"... {n_left_out} more lines ...", *trouble[-5:])

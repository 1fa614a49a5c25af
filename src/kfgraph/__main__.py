"""``python -m kfgraph`` and the installed command: ready for Ctrl-C before anything else is imported."""

import _signal  # type: ignore[import-not-found]  # the module signal takes a millisecond
import gc
import os

INTERRUPTED = 130
COLLECT_AFTER = 50_000
"""Objects. Python's 700 make it look through the modules again and again while they are being imported: a tenth of a
short run. What is collected is little in any case: a trace is arrays."""


def leave(*_: object) -> None:
    """A handler of SIGINT while there is nothing to put in order: Python's own would print where it is."""
    os._exit(INTERRUPTED)


def entry_point() -> None:
    """Run the command line of this process, and end it."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # not where it is ignored, as under nohup
        _signal.signal(_signal.SIGINT, leave)
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
    try:
        from kfgraph.cli.app import entry_point as run
    except MemoryError:
        os.write(2, b"kfgraph: not enough memory\n")
        os._exit(3)
    run(leave)


if __name__ == "__main__":
    entry_point()

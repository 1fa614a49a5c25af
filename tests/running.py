"""Runs a command line of kfgraph in the process of the tests."""

from __future__ import annotations

import contextlib
import io

from kfgraph.cli.app import main


def kfgraph(*args: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``kfgraph args``."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(arg) for arg in args])
    return code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()

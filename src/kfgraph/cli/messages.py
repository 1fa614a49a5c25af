"""Sentences for the user, on stderr: harmless whatever they quote, each in one write, none where nobody reads."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from typing import TextIO

from kfgraph.errors import KfgraphError
from kfgraph.model.spelling import spelt_out


def write_lines(lines: Iterable[str], *, stream: TextIO | None = None) -> None:
    """These lines, together in one write, behind all that stdout holds so far; on stderr unless ``stream`` is given."""
    stream = sys.stderr if stream is None else stream
    text = "".join(f"{spelt_out(line)}\n" for line in lines)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        stream.write(text)
        stream.flush()


def say(sentence: str, *, hint: str = "") -> None:
    """A sentence, and what to type below it."""
    write_lines([f"kfgraph: {sentence}", *([f"  hint: {hint}"] if hint else [])])


def fail(problem: KfgraphError) -> int:
    """Say the failure and its hint; its exit code."""
    say(problem.message, hint=problem.hint)
    return problem.exit_code

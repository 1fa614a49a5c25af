"""Sentences for the user, on stderr: harmless whatever they quote, each in one write, none where nobody reads."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable

from kfgraph.errors import KfgraphError
from kfgraph.model.spelling import spelt_out


def write_lines(lines: Iterable[str]) -> None:
    """These lines, together in one write, behind all that stdout holds so far."""
    text = "".join(f"{spelt_out(line)}\n" for line in lines)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def say(sentence: str, *, hint: str = "") -> None:
    """A sentence, and what to type below it."""
    write_lines([f"kfgraph: {sentence}", *([f"  hint: {hint}"] if hint else [])])


def fail(problem: KfgraphError) -> int:
    """Say the failure and its hint; its exit code."""
    say(problem.message, hint=problem.hint)
    return problem.exit_code

"""Long output on a terminal goes through a pager, as git does it."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import IO

from kfgraph.model.standins import ERRORS

_LESS_WITH_LINKS = 566


def pager_argv(environment: Mapping[str, str]) -> list[str]:
    """The pager's command line: KFGRAPH_PAGER, PAGER, less, more. [] for none (``cat``, or set to nothing)."""
    for name in ("KFGRAPH_PAGER", "PAGER"):
        if name in environment:
            argv = shlex.split(environment[name])
            return [] if argv in ([], ["cat"]) else argv
    found = next((path for path in map(shutil.which, ("less", "more")) if path), None)
    return [found] if found else []


def passes_links() -> bool:
    """Whether the pager passes links on (OSC 8): less does from version 566 on; others print them. None does too."""
    argv = pager_argv(os.environ)
    if not argv:
        return True
    if not argv[0].endswith("less"):
        return False
    try:
        told = subprocess.run([argv[0], "--version"], capture_output=True, timeout=2, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.match(rb"less (\d+)", told)
    return version is not None and int(version[1]) >= _LESS_WITH_LINKS


def write(pieces: Iterable[str], out: IO[str], *, page_after: int | None = None) -> None:
    """Write the pieces; through the pager if they have more than ``page_after`` lines (None: never).

    Pieces are taken as the pager asks for more, so the first screen of a huge tree is there at once.

    Raises:
        BrokenPipeError: the reader of ``out`` has gone. A pager that was left early is no error.
    """
    pieces = _encodable(pieces, getattr(out, "encoding", None) or "utf-8")
    argv = pager_argv(os.environ) if page_after is not None else []
    if page_after is None or not argv:
        for piece in pieces:
            out.write(piece)
        out.flush()
        return
    screen: list[str] = []
    n_lines = 0
    for piece in pieces:
        screen.append(piece)
        n_lines += piece.count("\n")
        if n_lines > page_after:
            break
    else:
        out.write("".join(screen))
        out.flush()
        return
    _page(chain(screen, pieces), argv, out)


def _page(pieces: Iterable[str], argv: list[str], out: IO[str]) -> None:
    environment = {"LESS": "FRX", "LV": "-c", **os.environ}
    try:
        pager = subprocess.Popen(argv, stdin=subprocess.PIPE, env=environment, encoding="utf-8", errors="replace")
    except OSError:
        for piece in pieces:
            out.write(piece)
        return
    assert pager.stdin is not None
    try:
        with contextlib.suppress(BrokenPipeError):
            for piece in pieces:
                pager.stdin.write(piece)
    except KeyboardInterrupt:
        pass  # Ctrl-C stops the writing; the pager decides for itself when to leave.
    finally:
        with contextlib.suppress(BrokenPipeError):
            pager.stdin.close()
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                pager.wait()
                break


def _encodable(pieces: Iterable[str], encoding: str) -> Iterator[str]:
    if codecs.lookup(encoding).name.startswith("utf"):
        return iter(pieces)
    return (piece.encode(encoding, ERRORS).decode(encoding) for piece in pieces)

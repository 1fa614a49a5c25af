#!/usr/bin/env python3
"""Makes the transcripts in README.md anew: ``make transcript``.

A command of README.md that reads examples/ is run as it stands. The one that records, and those that look
at what it recorded, are run in a folder with examples/foo built for the newest kernel that a guest can
boot: as root of the guest, not of this machine. ``tests/house/test_docs.py`` holds what reads examples/.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
README = REPOSITORY / "README.md"
KFGRAPH = Path(sys.executable).parent / "kfgraph"
COLUMNS = "100"
# Up to the next command, or text that is not indented; without the blank lines before it.
_BLOCK = re.compile(
    r"""^[ ]{4}\$[ ](?P<command>kfgraph[ ].*)\n
    (?P<output>(?:(?![ ]{4}\$[ ])(?:[ ]{4}.*)?\n)*?)
    (?=\n*(?:\S|[ ]{4}\$[ ]|\Z))""",
    re.MULTILINE | re.VERBOSE,
)


def transcripts(page: str) -> Iterator[re.Match[str]]:
    """The indented blocks ``$ kfgraph ...`` of a page, each with its ``command`` and its ``output``."""
    return _BLOCK.finditer(page)


def run(command: str, folder: Path, *, errors: bool = False) -> str:
    """What ``command`` prints as an indented block, with stderr where it records, or if asked for ``errors``."""
    argv = shlex.split(command)
    environment = {**os.environ, "COLUMNS": COLUMNS, "PAGER": "cat", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [str(KFGRAPH), *argv[1:]],
        cwd=folder,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if errors or argv[1] == "trace" else subprocess.DEVNULL,
    )
    return "".join(f"    {line}".rstrip() + "\n" for line in done.stdout.splitlines())


def main() -> None:
    """Run every command of README.md and put its output in place."""
    from kfgraph.capture.guest import machine

    release = machine.choose_image().release
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        foo = ["make", "-C", str(REPOSITORY / "examples" / "foo"), f"KVER={release}", f"OUT={folder}"]
        subprocess.run(foo, check=True, stdout=subprocess.DEVNULL)
        page = README.read_text()
        for block in list(transcripts(page)):
            start = time.monotonic()
            output = run(block["command"], REPOSITORY if "examples/" in block["command"] else folder)
            page = page.replace(block[0], f"    $ {block['command']}\n{output}")
            if " trace " in block["command"]:
                page = re.sub(r"\b\d+ s in all\b", f"{time.monotonic() - start:.0f} s in all", page)
    README.write_text(page)


if __name__ == "__main__":
    main()

"""What commands print of small real recordings, whole: golden/*.txt hold command lines, each with what it printed.

``KFGRAPH_GOLDEN=1 pytest tests/contract/test_transcripts.py`` writes what is printed now: look at the diff.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from rich.cells import cell_len

from running import kfgraph

GOLDEN = Path(__file__).parent / "golden"
HEAD = re.compile(r"^\$ (?:COLUMNS=(\d+) )?(FORCE_COLOR=1 )?(kfgraph .*)$\n", re.MULTILINE)


def sections(text: str) -> dict[str, str]:
    """Command line -> what stands below it, up to the next one."""
    heads = list(HEAD.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return {head[0].rstrip("\n"): text[head.end() : end] for head, end in zip(heads, ends, strict=True)}


def printed(line: str) -> str:
    """What a command line prints; its stderr behind it, its exit code if there is one."""
    _, *words = shlex.split(HEAD.match(f"{line}\n")[3])  # type: ignore[index]
    code, out, err = kfgraph(*words)
    out = re.sub(r'"loops": "\w+"', '"loops": "as built"', out).replace("\x1b", "^[").replace("https:" "//", "https: ")
    return out + (f"stderr:\n{err}" if err else "") + (f"exit code {code}\n" if code else "")


LINES = [(file, line) for file in sorted(GOLDEN.glob("*.txt")) for line in sections(file.read_text("utf-8"))]


@pytest.mark.parametrize(("file", "line"), LINES, ids=[f"{file.stem}: {line[2:]}" for file, line in LINES])
def test_transcript(file: Path, line: str, at_a_terminal: pytest.MonkeyPatch) -> None:
    columns, colour, _ = HEAD.match(f"{line}\n").groups()  # type: ignore[union-attr]
    at_a_terminal.setenv("COLUMNS", columns or "100")
    if colour:
        at_a_terminal.setenv("FORCE_COLOR", "1")
    now = printed(line)
    if os.environ.get("KFGRAPH_GOLDEN"):
        known = sections(file.read_text("utf-8")) | {line: now}
        file.write_text("".join(f"{one}\n{text}" for one, text in known.items()), "utf-8")
    assert now == sections(file.read_text("utf-8"))[line]
    free = colour or re.search(r" --(json|csv|format)\b", line) or int(columns or 100) < 60
    # A command to type is not broken: where it is too long, the terminal wraps it.
    lines = [text for text in now.splitlines() if not text.startswith(("  kfgraph ", "    kfgraph ", "    sudo "))]
    assert free or max(map(cell_len, lines), default=0) <= int(columns or 100) or "stderr" in now

"""What a recorder left: is it a trace, and what can be made of its files for each CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from kfgraph.capture.verify import Verdict, verify
from kfgraph.model.spelling import shell_word
from kfgraph.programs import Bounds, Overrun, run

_HELD = "parts"


def salvage(recorder: str, target: Path) -> Verdict:
    """Make the best of what a recorder left at ``target`` and in its files for each CPU beside it.

    The parts win over a file that lacks something. They stay where they are. The kernel's event formats and
    symbols, which trace-cmd writes at the end, are those of this machine still.
    """
    found = verify(target)
    parts = parts_of(target)
    if (found.usable and not found.lacks) or not holds_data(parts):
        return found
    kept = target.with_name("unfinished.dat")
    if found.usable:
        target.replace(kept)
    else:
        target.unlink(missing_ok=True)  # the room may be needed
    # Empty ones too: trace-cmd counts the CPUs by the order of their files.
    argv = [recorder, "restore", "-o", str(target), *map(str, parts)]
    n_bytes = sum(part.stat().st_size for part in parts)
    with contextlib.suppress(Overrun):  # then it is looked at what there is
        run(argv, Bounds(seconds=60 + n_bytes / (1 << 20), n_bytes=1 << 20), together=True)
    restored = verify(target)
    if restored.usable and (not restored.lacks or not found.usable):
        return restored
    target.unlink(missing_ok=True)
    if found.usable:
        kept.replace(target)
    return found


def hold_parts(target: Path) -> None:
    """Give the recorder's files for each CPU a second name, which it does not know.

    At its end it deletes them whether or not it could copy them (3.1.6 on a full disk: exit status 0, no data).
    """
    held = target.with_name(_HELD)
    with contextlib.suppress(OSError):  # a file system without links
        held.mkdir(exist_ok=True)
        for part in parts_of(target):
            (held / part.name).hardlink_to(part)


def parts_of(target: Path) -> list[Path]:
    """The recorder's files for each CPU, in order: those that it left, or that were held."""
    folders = (target.with_name(_HELD), target.parent)
    found = {part.name: part for folder in folders for part in folder.glob(f"{target.name}.cpu*")}
    numbered = {int(digits): p for name, p in found.items() if (digits := name.rpartition("cpu")[2]).isdecimal()}
    return [numbered[cpu] for cpu in sorted(numbered)]


def holds_data(parts: Sequence[Path]) -> bool:
    """Is there anything in them?"""
    return any(part.stat().st_size for part in parts)


def by_hand(target: Path) -> str:
    """What to type where there is more room, for the parts beside ``target``."""
    words = " ".join(shell_word(str(part)) for part in parts_of(target))
    return f"trace-cmd restore -o trace.dat {words}"

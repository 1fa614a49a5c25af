"""What the lines of a text call a task: an exec, or another task with that pid, has another name."""

from __future__ import annotations

UNTOLD = b"<...>"


def called(comms: dict[int, bytes], former: dict[int, list[bytes]], pid: int, name: bytes) -> None:
    """A line calls ``pid`` so: the last name is in ``comms``, the others, each once, are in ``former``."""
    before = comms.get(pid)
    if before is None or before == UNTOLD:
        comms[pid] = name
    elif name not in (before, UNTOLD):
        others = former.setdefault(pid, [])
        if before not in others:
            others.append(before)
        comms[pid] = name

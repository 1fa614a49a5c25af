"""What a file of each format says: the slices of each track, or the time of each stack."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

Stack = tuple[str, ...]
"""Names from the task, or the root, down."""


class Slice(NamedTuple):
    """One call; ``track`` is "" and ``start_ns`` -1 where the format tells none."""

    track: str
    name: str
    start_ns: int
    duration_ns: int


def _ns(microseconds: object) -> int:
    value = Decimal(str(microseconds)) * 1000
    assert value == int(value)
    return int(value)


def chrome(data: bytes) -> list[Slice]:
    found = json.loads(data, parse_float=Decimal)
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in found["traceEvents"] if e["name"] == "thread_name"}
    assert len(set(names.values())) == len(names)
    return [
        Slice(names[e["pid"], e["tid"]], e["name"], _ns(e["ts"]), _ns(e["dur"]))
        for e in found["traceEvents"]
        if e["ph"] == "X"
    ]


def speedscope(data: bytes) -> list[Slice]:
    found = json.loads(data)
    frames = [frame["name"] for frame in found["shared"]["frames"]]
    slices = []
    for profile in found["profiles"]:
        assert (profile["type"], profile["unit"]) == ("evented", "nanoseconds")
        open_: list[tuple[int, int]] = []
        last = profile["startValue"]
        for event in profile["events"]:
            assert last <= event["at"] <= profile["endValue"], "events stand in the order of time"
            last = event["at"]
            if event["type"] == "O":
                open_.append((event["frame"], event["at"]))
            else:
                frame, at = open_.pop()
                assert frame == event["frame"], "the innermost frame closes first"
                slices.append(Slice(profile["name"], frames[frame], at, event["at"] - at))
        assert not open_
    return slices


def csv_rows(data: bytes) -> list[Slice]:
    rows = csv.DictReader(io.StringIO(data.decode(), newline=""))
    return [
        Slice(
            "", f"{row['function'] or '?'} [{row['module']}]".removesuffix(" []"), int(row["start_ns"] or -1),
            int(row["duration_ns"] or -1),
        )
        for row in rows
    ]  # fmt: skip


def json_lines(data: bytes) -> list[Slice]:
    rows = [json.loads(line) for line in data.splitlines()]
    unknown = {None: -1}
    return [
        Slice(
            "", f"{row['function'] or '?'} [{row['module'] or ''}]".removesuffix(" []"), row["start_ns"],
            unknown.get(row["duration_ns"], row["duration_ns"]),
        )
        for row in rows
    ]  # fmt: skip


def folded(data: bytes) -> Counter[Stack]:
    found: Counter[Stack] = Counter()
    for line in data.decode().splitlines():
        stack, _, ns = line.rpartition(" ")
        assert tuple(stack.split(";")) not in found
        found[tuple(stack.split(";"))] += int(ns)
    return found


CALLS: dict[str, Callable[[bytes], list[Slice]]] = {
    "chrome": chrome, "speedscope": speedscope, "csv": csv_rows, "json": json_lines,
}  # fmt: skip
STACKS: dict[str, Callable[[bytes], Counter[Stack]]] = {"folded": folded}
ON_TRACKS = ("chrome", "speedscope")
"""Formats whose slices must nest."""

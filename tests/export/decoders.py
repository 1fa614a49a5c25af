"""What a file of each format says: the slices of each track, or the time of each stack."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow.parquet
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from perfetto.protos.perfetto.trace import perfetto_trace_pb2

from kfgraph.errors import InputError
from kfgraph.parse import load

Stack = tuple[str, ...]
"""Names from the task, or the root, down."""


class Slice(NamedTuple):
    """One call; ``track`` is "" and ``start_ns`` -1 where the format tells none."""

    track: str
    name: str
    start_ns: int
    duration_ns: int


class Graph(NamedTuple):
    """The own time of each function that has some, and (calls, time) of each caller and callee."""

    own_ns: Counter[str]
    edges: dict[tuple[str, str], tuple[int, int]]


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


def perfetto(data: bytes) -> list[Slice]:
    trace = perfetto_trace_pb2.Trace.FromString(data)
    names: dict[int, str] = {}
    tracks: dict[int, str] = {}
    open_: dict[int, list[tuple[str, int]]] = {}
    slices, last = [], {}
    for packet in trace.packet:
        if packet.HasField("track_descriptor"):
            tracks[packet.track_descriptor.uuid] = packet.track_descriptor.name
        if packet.sequence_flags & 1:
            names.clear()
        names |= {entry.iid: entry.name for entry in packet.interned_data.event_names}
        if not packet.HasField("track_event"):
            continue
        assert packet.trusted_packet_sequence_id == 1
        event = packet.track_event
        uuid = event.track_uuid
        if event.type == event.TYPE_SLICE_BEGIN:
            open_.setdefault(uuid, []).append((names[event.name_iid], packet.timestamp))
        elif event.type == event.TYPE_SLICE_END:
            name, start = open_[uuid].pop()
            slices.append(Slice(tracks[uuid], name, start, packet.timestamp - start))
        else:
            assert event.type == event.TYPE_INSTANT and event.name and uuid in tracks
            continue
        # Interrupts come from several tasks; on the track of a task packets stand in the order of time.
        assert tracks[uuid].startswith("interrupts") or last.get(uuid, 0) <= packet.timestamp
        last[uuid] = packet.timestamp
    assert not any(open_.values())
    return slices


def parquet(data: bytes) -> list[Slice]:
    table = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    return [
        Slice(
            "", f"{row['function'] or '?'} [{row['module']}]".removesuffix(" []"),
            -1 if row["start_ns"] is None else row["start_ns"],
            -1 if row["duration_ns"] is None else row["duration_ns"],
        )
        for row in table
    ]  # fmt: skip


def _profile() -> type[Any]:
    """profile.proto of google/pprof, as far as it is needed here."""
    fields = {
        "ValueType": [("type", 1, 3, 0), ("unit", 2, 3, 0)],
        "Sample": [("location_id", 1, 4, 1), ("value", 2, 3, 1)],
        "Line": [("function_id", 1, 4, 0)],
        "Location": [("id", 1, 4, 0), ("line", 4, "Line", 1)],
        "Function": [("id", 1, 4, 0), ("name", 2, 3, 0), ("filename", 4, 3, 0)],
        "Profile": [("sample_type", 1, "ValueType", 1), ("sample", 2, "Sample", 1), ("location", 4, "Location", 1),
                    ("function", 5, "Function", 1), ("string_table", 6, 9, 1), ("period_type", 11, "ValueType", 0),
                    ("period", 12, 3, 0), ("default_sample_type", 14, 3, 0), ("comment", 13, 3, 1)],
    }  # fmt: skip
    file = descriptor_pb2.FileDescriptorProto(name="profile.proto", package="pprof", syntax="proto3")
    for name, members in fields.items():
        message = file.message_type.add(name=name)
        for member, number, kind, many in members:
            field = message.field.add(name=member, number=number, label=3 if many else 1)
            if isinstance(kind, str):
                field.type, field.type_name = 11, f".pprof.{kind}"
            else:
                field.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("pprof.Profile"))


def pprof(data: bytes) -> Counter[Stack]:
    profile = _profile().FromString(gzip.decompress(data))
    strings = list(profile.string_table)
    assert strings[0] == ""
    types = [(strings[t.type], strings[t.unit]) for t in profile.sample_type]
    assert types[:2] == [("calls", "count"), ("time", "nanoseconds")]
    parts = [("oncpu", "nanoseconds"), ("asleep", "nanoseconds"), ("preempted", "nanoseconds")]
    assert types[2:] in ([], parts)
    assert strings[profile.default_sample_type] == ("oncpu" if types[2:] else "time")
    functions = {function.id: strings[function.name] for function in profile.function}
    places = {place.id: functions[place.line[0].function_id] for place in profile.location}
    found: Counter[Stack] = Counter()
    for sample in profile.sample:
        n_calls, ns, *of = sample.value
        assert n_calls > 0 and (not of or sum(of) <= ns)
        found[tuple(places[place] for place in reversed(sample.location_id))] += ns
    return +found


def callgrind(data: bytes) -> Graph:
    own: Counter[str] = Counter()
    edges: dict[tuple[str, str], tuple[int, int]] = {}
    names: dict[str, str] = {}
    function = called = ""
    n_calls, summary = None, 0

    def name(text: str) -> str:
        number, _, rest = text.partition(" ")
        assert not rest or number not in names, "a name is written once"
        return names.setdefault(number, rest)

    for line in data.decode().splitlines():
        key, _, rest = line.partition("=")
        if line.startswith("summary: "):
            summary = sum(map(int, line.split()[1:]))
        elif key == "fn":
            function = name(rest)
        elif key == "cfn":
            called = name(rest)
        elif key == "calls":
            n_calls = int(rest.split()[0])
        elif line.startswith("0 "):
            if n_calls is None:
                own[function] += sum(map(int, line.split()[1:]))
            else:
                edges[function, called] = n_calls, sum(map(int, line.split()[1:]))
                n_calls = None
    assert sum(own.values()) == summary
    return Graph(+own, edges)


def dot(data: bytes) -> Graph:
    """What Graphviz reads; a layout of rectangles, since that of dot takes minutes where nothing is pruned."""
    done = subprocess.run(["dot", "-Kpatchwork", "-Tdot_json"], input=data, capture_output=True, check=True)
    found = json.loads(done.stdout)
    names = {node["_gvid"]: node["tooltip"].replace("\\\\", "\\") for node in found.get("objects", ())}
    assert all(node["label"].startswith(f"{node['tooltip']}\\n") for node in found.get("objects", ()))
    own = Counter({names[n["_gvid"]]: int(n["self_ns"]) for n in found.get("objects", ())})
    edges = {
        (names[e["tail"]], names[e["head"]]): (int(e["calls"]), int(e["ns"])) for e in found.get("edges", ())
    }
    return Graph(+own, edges)


def mermaid(data: bytes) -> Graph:
    lines = data.decode().splitlines()
    assert lines[0] == "flowchart TD"
    names, own, edges = {}, Counter(), {}
    for about, line in zip(lines[1::2], lines[2::2], strict=True):
        numbers = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", about)}
        node = re.fullmatch(r'  (n\d+)\["([^"<>]*)<br/>[^"]*"\]', line)
        if node:
            assert about.startswith(f"  %% {node[1]}: ")
            names[node[1]] = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), node[2])
            own[names[node[1]]] = numbers["self_ns"]
            continue
        edge = re.fullmatch(r'  (n\d+) -->\|"[^"]*"\| (n\d+)', line)
        assert edge and about.startswith(f"  %% {edge[1]} {edge[2]}: ")
        edges[names[edge[1]], names[edge[2]]] = numbers["calls"], numbers["ns"]
    return Graph(+own, edges)


def firefox(data: bytes) -> Counter[Stack]:
    """Checks what the processed profile format asks for: columns of one length, indices into their tables."""
    profile = json.loads(data)
    meta = profile["meta"]
    assert {"interval", "startTime", "processType", "product", "stackwalk", "version", "markerSchema"} <= meta.keys()
    assert meta["preprocessedProfileVersion"] == 47 and profile["libs"] == []
    assert any(category["color"] == "grey" for category in meta["categories"])
    found: Counter[Stack] = Counter()
    ids = [(thread["pid"], thread["tid"]) for thread in profile["threads"]]
    assert len(set(ids)) == len(ids) and all(isinstance(pid, str) for pid, _ in ids)
    for thread in profile["threads"]:
        assert {"processType", "processStartupTime", "registerTime", "pausedRanges", "isMainThread"} <= thread.keys()
        for name, columns in _FIREFOX_TABLES.items():
            table = thread[name]
            assert columns | {"length"} == table.keys() - {"weightType"}, name
            assert {len(table[column]) for column in columns} == {table["length"]}, name
        samples, stacks, frames, funcs = (
            thread[name] for name in ("samples", "stackTable", "frameTable", "funcTable")
        )
        strings = thread["stringArray"]
        assert samples["weightType"] == "tracing-ms"
        paths: list[Stack] = []
        for i, (frame, prefix) in enumerate(zip(stacks["frame"], stacks["prefix"], strict=True)):
            assert prefix is None or 0 <= prefix < i
            assert 0 <= stacks["category"][i] < len(meta["categories"]) and stacks["subcategory"][i] == 0
            name = strings[funcs["name"][frames["func"][frame]]]
            task = () if thread["name"] == "selected calls" else (thread["name"],)
            paths.append((*(task if prefix is None else paths[prefix]), name))
        at = 0.0
        for stack, time, weight in zip(samples["stack"], samples["time"], samples["weight"], strict=True):
            assert time >= at and weight > 0
            at = time
            found[paths[stack]] += round(weight * 1e6)
    return found


_FIREFOX_TABLES = {
    "samples": {"stack", "time", "weight"},
    "markers": {"data", "name", "startTime", "endTime", "phase", "category"},
    "stackTable": {"frame", "prefix", "category", "subcategory"},
    "frameTable": {
        "address", "inlineDepth", "category", "subcategory", "func", "nativeSymbol", "innerWindowID", "implementation",
        "line", "column",
    },
    "funcTable": {"name", "isJS", "relevantForJS", "resource", "fileName", "lineNumber", "columnNumber"},
    "resourceTable": {"lib", "name", "host", "type"},
    "nativeSymbols": {"libIndex", "address", "name", "functionSize"},
}  # fmt: skip

def text(reader: str) -> Callable[[bytes], list[Slice]]:
    """What kfgraph's own reader finds."""

    def read(data: bytes) -> list[Slice]:
        with tempfile.NamedTemporaryFile(suffix=".txt") as file:
            file.write(data)
            file.flush()
            try:
                trace = load(file.name, reader=reader)
            except InputError:
                # A head without a line.
                assert data.count(b"\n") <= 4
                return []
        trace.check()
        calls = trace.calls
        tasks = [task.label for task in trace.tasks.tasks]
        names = [trace.symbols.label(code) for code in calls.func.tolist()]
        columns = (calls.lane.tolist(), names, calls.start_ns.tolist(), calls.duration_ns.tolist())
        return [Slice(tasks[lane], name, start, ns) for lane, name, start, ns in zip(*columns, strict=True)]

    return read


GRAPHS: dict[str, Callable[[bytes], Graph]] = {"callgrind": callgrind, "dot": dot, "mermaid": mermaid}
CALLS: dict[str, Callable[[bytes], list[Slice]]] = {
    "chrome": chrome, "speedscope": speedscope, "csv": csv_rows, "json": json_lines,
    "perfetto": perfetto, "parquet": parquet, "report": text("report"), "ftrace": text("ftrace"),
}  # fmt: skip
STACKS: dict[str, Callable[[bytes], Counter[Stack]]] = {"folded": folded, "pprof": pprof, "firefox": firefox}
ON_TRACKS = ("chrome", "speedscope", "perfetto")
"""Formats whose slices must nest."""
TEXTS = ("report", "ftrace")
"""Formats that kfgraph reads itself. Some letters of a name would end it there."""

"""Perfetto's own format: a protobuf of track events (protos/perfetto/trace/track_event/track_event.proto).

A slice is a packet where it begins and one where it ends. Numbers are written with a constant number of bytes, so that
a chunk of packets is one array.
"""

from __future__ import annotations

from typing import IO, Any

import numpy as np
import numpy.typing as npt

from kfgraph.analyze.forest import Bool, Int32, Int64
from kfgraph.analyze.select import Selection
from kfgraph.errors import Notice
from kfgraph.export.instants import instants
from kfgraph.export.protobuf import message, number, padded, text, varint
from kfgraph.export.tracks import Layout, events, layout
from kfgraph.export.values import details_of
from kfgraph.model.calls import CONTEXTS
from kfgraph.model.spelling import spelt_out

_TASKS, _INTERRUPTS, _FIRST_TRACK = 1, 2, 16
_BEGIN, _END, _INSTANT = 1, 2, 3
_SEQUENCE = number(10, 1)  # TracePacket.trusted_packet_sequence_id
_CLEARED, _NEEDED = number(13, 1), number(13, 2)  # TracePacket.sequence_flags
_STAMP_BYTES, _ID_BYTES = 9, 5


def write_perfetto(selection: Selection, out: IO[bytes]) -> tuple[Notice, ...]:
    """A track per task, interrupts on tracks of their CPUs; other events are instants. Times are those of the trace."""
    laid, trace = layout(selection), selection.trace
    out.write(_head(laid))
    details, calls = details_of(trace), trace.calls
    for node, begins in events(laid.parent, laid.level, size=1 << 14):
        stamp = laid.start_ns[node]
        ending = node[~begins]
        stamp[~begins] = laid.start_ns[ending] + laid.duration_ns[ending]
        rows = laid.rows_of(node)
        told = details(rows[begins])
        columns = (stamp, begins, laid.track[node], calls.func[rows], calls.context[rows])
        out.write(_packets(*columns).tobytes() if told is None else _annotated(*columns, told))
    for one in instants(selection):
        track = _FIRST_TRACK + one.lane if one.lane >= 0 else _TASKS
        about = _annotation("text", one.text) + _annotation("cpu", one.cpu)
        event = number(9, _INSTANT) + number(11, track) + text(23, one.name) + about
        out.write(message(1, number(8, one.time_ns) + _SEQUENCE + _NEEDED + message(11, event)))
    return laid.notices


def _head(laid: Layout) -> bytes:
    """The tracks, and the names that events refer to by number."""
    labels = laid.selection.trace.symbols.labels
    names = b"".join(message(2, number(1, i + 1) + text(2, spelt_out(label))) for i, label in enumerate(labels))
    kinds = b"".join(message(1, number(1, i + 1) + text(2, name)) for i, name in enumerate((*CONTEXTS, "unknown")))
    parts = [message(1, _SEQUENCE + _CLEARED + message(12, kinds + names))]
    tracks = [(_TASKS, "tasks", 0), (_INTERRUPTS, "interrupts", 0)]
    for i, track in enumerate(laid.tracks):
        tracks.append((_FIRST_TRACK + i, spelt_out(track.label), _TASKS if track.task else _INTERRUPTS))
    for uuid, name, above in tracks:
        about = number(1, uuid) + text(2, name) + (number(5, above) if above else b"")
        parts.append(message(1, _SEQUENCE + message(60, about)))
    return b"".join(parts)


def _packets(
    stamp: Int64, begins: Bool, track: Int32, func: Int32, context: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """All packets as one array of bytes."""
    uuid = padded(track.astype(np.int64) + _FIRST_TRACK, _ID_BYTES)
    iid = padded(func.astype(np.int64) + 1, _ID_BYTES)
    kind = np.minimum(context, len(CONTEXTS)).astype(np.uint8) + 1
    # type, track_uuid; of a begin also the name's number and the category's.
    head = np.frombuffer(number(9, _BEGIN), np.uint8)
    columns = [
        np.broadcast_to(head, (len(stamp), 2)), _constant(0x58, stamp), uuid, _constant(0x50, stamp), iid,
        _constant(0x18, stamp), kind[:, None],
    ]  # fmt: skip
    event = np.concatenate(columns, axis=1)
    event[~begins, 1] = _END
    n_of_end = 2 + 1 + _ID_BYTES
    length = np.where(begins, event.shape[1], n_of_end).astype(np.uint8)
    before = np.frombuffer(_SEQUENCE + _NEEDED + b"\x5a", np.uint8)
    stamped = np.concatenate(
        [_constant(0x40, stamp), padded(stamp, _STAMP_BYTES), np.broadcast_to(before, (len(stamp), len(before)))],
        axis=1,
    )
    size = (stamped.shape[1] + 1 + length).astype(np.uint8)
    whole = np.concatenate([_constant(0x0A, stamp), size[:, None], stamped, length[:, None], event], axis=1)
    used = np.arange(whole.shape[1])[None, :] < (2 + size)[:, None]
    packets: npt.NDArray[np.uint8] = whole[used]
    return packets


def _constant(byte: int, like: Int64) -> npt.NDArray[np.uint8]:
    return np.full((len(like), 1), byte, np.uint8)


def _annotated(
    stamp: Int64, begins: Bool, track: Int32, func: Int32, context: npt.NDArray[np.uint8], told: list[dict[str, Any]]
) -> bytes:
    """The same with what is recorded of each call."""
    parts = []
    rest = iter(told)
    kinds = np.minimum(context, len(CONTEXTS)) + 1
    columns = zip(stamp.tolist(), begins.tolist(), track.tolist(), func.tolist(), kinds.tolist(), strict=True)
    for at, opens, where, code, kind in columns:
        if opens:
            about = b"".join(_annotation(name, value) for name, value in next(rest).items())
            event = number(9, _BEGIN) + number(11, _FIRST_TRACK + where) + number(10, code + 1)
            event += number(3, kind) + about
        else:
            event = number(9, _END) + number(11, _FIRST_TRACK + where)
        packet = b"\x40" + varint(at) + _SEQUENCE + _NEEDED + message(11, event)
        parts.append(b"\x0a" + varint(len(packet)) + packet)
    return b"".join(parts)


def _annotation(name: str, value: Any) -> bytes:
    """A DebugAnnotation."""
    if isinstance(value, list):
        value = " ".join(value)
    return message(4, text(10, name) + (number(4, value) if isinstance(value, int) else text(6, value)))

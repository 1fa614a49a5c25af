"""Exact values of small built traces: tracks, instants, remarks."""

from __future__ import annotations

import gzip
import io
from dataclasses import replace

import numpy as np
from perfetto.protos.perfetto.trace import perfetto_trace_pb2

from builder.tables import call, trace_of
from export import decoders
from kfgraph.analyze.select import select
from kfgraph.analyze.weights import weighted
from kfgraph.export.instants import instants
from kfgraph.export.kernel_texts import write_report
from kfgraph.export.perfetto import write_perfetto
from kfgraph.export.pprof import write_pprof
from kfgraph.export.tracks import layout
from kfgraph.model.calls import Flag
from kfgraph.model.marks import Losses


def test_tracks_are_called_after_their_tasks_and_what_hit_the_tracer_is_counted_on() -> None:
    trace = trace_of([call("a", 100, call("tick", 5, call("again", 4, call("third", 3))))])
    hit = np.array([0, 1, 1, 1], np.uint8)
    calls = trace.calls.with_columns(context=hit * 2, cpu=hit + np.int16(2), flags=hit * np.uint32(Flag.IN_TRACER))
    trace = replace(trace, calls=calls)
    assert [one.label for one in layout(select(trace)).tracks[1:]] == [
        "interrupts on CPU 3", "interrupts on CPU 3 (2)", "interrupts on CPU 3 (3)",
    ]  # fmt: skip
    within = layout(select(trace), interrupts_apart=False).tracks
    assert [one.label for one in within] == ["task0-100", *(f"task0-100 ({n})" for n in (2, 3, 4))]
    nowhere = replace(trace, calls=trace.calls.with_columns(cpu=np.full(4, -1, np.int16)))
    assert layout(select(nowhere)).tracks[1].label == "interrupts"


def test_a_text_has_as_many_cpus_as_are_known_or_called_on() -> None:
    trace = trace_of([call("a", 5), call("b", 5)])
    for last, told, wanted in ((0, -1, 1), (1, -1, 2), (3, -1, 4), (1, 8, 8), (3, 2, 4)):
        calls = trace.calls.with_columns(cpu=np.array([0, last], np.int16))
        out = io.StringIO()
        write_report(select(replace(trace, calls=calls, meta=replace(trace.meta, n_cpus=told))), out)
        assert out.getvalue().splitlines()[0] == f"cpus={wanted}"


def test_a_call_of_no_time_has_no_room_for_another() -> None:
    trace = trace_of([call("a", 0, call("b", 5))])
    calls = trace.calls.with_columns(duration_ns=np.array([0, 5]), self_ns=np.array([0, 5]))
    laid = layout(select(replace(trace, calls=calls)))
    assert laid.duration_ns.tolist() == [0, 0]
    assert [(one.code, one.n) for one in laid.notices] == [("export-shortened", 1)]


def test_a_loss_stands_where_it_was_and_without_a_time_nowhere() -> None:
    i16, i32 = np.int16, np.int32
    lanes, rows = np.array([1, 0, -1, 0, 1], i32), np.full(5, -1, i32)
    losses = Losses(
        np.array([5, -1, 7, 9, 8]), np.arange(5, dtype=i16), np.array([1, 2, -1, 1_234, 5]), lanes, rows, rows
    )
    trace = replace(trace_of([call("a")], [call("b")]), losses=losses)
    assert [tuple(one) for one in instants(select(trace))] == [
        (5, 1, 0, "records lost", "1 record"), (7, -1, 2, "records lost", "not counted"),
        (9, 0, 3, "records lost", "1,234 records"), (8, 1, 4, "records lost", "5 records"),
    ]  # fmt: skip
    assert [one.time_ns for one in instants(select(trace, task="task0"))] == [9]
    assert list(instants(select(trace, root="a"))) == []
    out = io.BytesIO()
    write_perfetto(select(trace), out)
    packets = perfetto_trace_pb2.Trace.FromString(out.getvalue()).packet
    names = {one.track_descriptor.uuid: one.track_descriptor.name for one in packets}
    found = [(one.timestamp, names[one.track_event.track_uuid]) for one in packets if one.track_event.type == 3]
    assert found == [(5, "task1-101"), (7, "tasks"), (9, "task0-100"), (8, "task1-101")]


def test_every_remark_is_a_comment_of_a_profile() -> None:
    made = replace(weighted(trace_of([call("a", 7, call("b [m]", 3))]))[0], remarks=("one", "two", "three"))
    out = io.BytesIO()
    write_pprof(made, out)
    profile = decoders._profile().FromString(gzip.decompress(out.getvalue()))
    assert [profile.string_table[one] for one in profile.comment] == ["one", "two", "three"]
    functions = [(profile.string_table[one.name], profile.string_table[one.filename]) for one in profile.function]
    assert functions == [("?", ""), ("a", ""), ("b [m]", "m"), ("task0-100", "")]
    samples = [(list(one.location_id), list(one.value)) for one in profile.sample]
    assert samples == [([2, 4], [1, 7]), ([3, 2, 4], [1, 3])]

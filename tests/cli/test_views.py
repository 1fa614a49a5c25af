"""The reports of a machine and of a recording, whole: what ``kfgraph doctor`` and ``kfgraph trace`` print."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from rich.console import Console

from kfgraph.kernel.images import KernelImage
from kfgraph.model.health import Check, Report
from kfgraph.render.capture import CaptureSummary, progress_line, summary
from kfgraph.render.console import stdout_console
from kfgraph.render.doctor import DoctorView
from kfgraph.render.kernels import KernelsView


def printed(view: object, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(view, soft_wrap=True)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


CHECKS = (
    Check("tracefs", "native", "ok", "/sys/kernel/tracing is mounted"),
    Check("trace-cmd", "both", "missing", "not installed on this machine, nor anywhere else", "apt-get install it"),
    Check("kvm", "guest", "limited", "no /dev/kvm: guests are slow"),
    Check("reader", "reader", "unknown", "?"),
)
DOCTOR = {
    60: """\
        Recording, here or in a guest
          missing  trace-cmd
            not installed on this machine, nor anywhere else
            -> apt-get install it

        This kernel
          ok  tracefs  /sys/kernel/tracing is mounted

        A guest (kfgraph trace --guest)
          limited  kvm  no /dev/kvm: guests are slow

        Reading traces
          unknown  reader  ?

        Tracing this kernel does not work: trace-cmd: not
          installed on this machine, nor anywhere else
        Tracing in a guest does not work: trace-cmd: not installed
          on this machine, nor anywhere else
        """,
    80: """\
        Recording, here or in a guest
          missing  trace-cmd  not installed on this machine, nor anywhere else
                              -> apt-get install it

        This kernel
          ok  tracefs  /sys/kernel/tracing is mounted

        A guest (kfgraph trace --guest)
          limited  kvm  no /dev/kvm: guests are slow

        Reading traces
          unknown  reader  ?

        Tracing this kernel does not work: trace-cmd: not installed on this machine,
          nor anywhere else
        Tracing in a guest does not work: trace-cmd: not installed on this machine,
          nor anywhere else
        """,
}


@pytest.mark.parametrize("width", DOCTOR)
def test_what_the_doctor_found(width: int) -> None:
    assert printed(DoctorView(Report("6.12", CHECKS)), width) == dedent(DOCTOR[width])


def test_where_nothing_is_missing_it_says_what_to_type() -> None:
    report = Report("6.12", tuple(check for check in CHECKS if check.area not in ("both", "reader")))
    assert printed(DoctorView(report), 80).splitlines() == [
        "This kernel", "  ok  tracefs  /sys/kernel/tracing is mounted", "",
        "A guest (kfgraph trace --guest)", "  limited  kvm  no /dev/kvm: guests are slow", "",
        "Tracing this kernel works: kfgraph trace -- COMMAND",
        "Tracing in a guest works: kfgraph trace --guest -- COMMAND",
    ]  # fmt: skip
    assert (report.works("native"), report.works("guest")) == (True, True)
    assert report.to_dict()["checks"][0] == {
        "name": "tracefs", "area": "native", "state": "ok", "found": "/sys/kernel/tracing is mounted", "remedy": "",
    }  # fmt: skip


ON = ("KPROBE_EVENTS", "KRETPROBES", "FUNCTION_GRAPH_TRACER", "DYNAMIC_FTRACE")
GOOD = KernelImage(
    "6.12", Path("/boot/vmlinuz-6.12"), readable=True, modules=Path("/m"), config={f"CONFIG_{name}": "y" for name in ON}
)
BAD = replace(GOOD, readable=False, path=Path("/boot/vmlinuz-6.1"), modules=None, config={})
BLOCKS = """\
    /boot/vmlinuz-6.1
      graph ?, args ?, retval ?, probes ?
      as a guest: no: /boot/vmlinuz-6.1 is not readable by this user
      (sudo chmod +r /boot/vmlinuz-6.1); its modules (6.12) are not in /lib/modules
      (install the package that has them)
    """
TABLE = """\
    image              graph  args  retval  probes  as a guest
    /boot/vmlinuz-6.1  ?      ?     ?       ?       no: /boot/vmlinuz-6.1 is not readable by
                                                    this user
                                                    (sudo chmod +r /boot/vmlinuz-6.1); its
                                                    modules (6.12) are not in /lib/modules
                                                    (install the package that has them)
    """


@pytest.mark.parametrize(("width", "text"), [(87, BLOCKS), (88, TABLE)])
def test_kernels_are_a_table_where_forty_columns_are_left_beside_it(width: int, text: str) -> None:
    assert printed(KernelsView([BAD]), width) == dedent(text)


def test_what_each_kernel_offers() -> None:
    lines = printed(KernelsView([GOOD, BAD]), 160).splitlines()
    assert lines[0] == "image               graph  args  retval  probes  as a guest"
    assert lines[1].startswith("/boot/vmlinuz-6.12  yes    no    no      yes     ")
    assert lines[2].startswith("/boot/vmlinuz-6.1   ?      ?     ?       ?       no: /boot/vmlinuz-6.1 is not readable")


WHOLE = CaptureSummary(
    "a b.dat", 1_536, 1_500_000, 12_345, 2, ended="false exited with 1", lost=((1, 100, 100), (3, 1, 999)),
    advice=("kfgraph trace --buffer 4M -- false",), warnings=("be warned",), next_root="do_x",
    partial="the disk is full", n_probes=1, n_unprobed=1, answer=("x = -ENOENT", "a → b", "no arrow"),
)  # fmt: skip
SUMMARY = """\
    kfgraph: x = -ENOENT
               a → b
    kfgraph: a b.dat: 12,345 calls of 2 tasks, 1.5 KiB, recorded 1.5 ms
      false exited with 1
      the recording is partial: the disk is full
      1 return probe; 1 more function has none: --returns GLOB chooses
      be warned
      CPU 1 lost 100 events, 50% of what happened there
      CPU 3 lost 1 event, 0% of what happened there
      against it: kfgraph trace --buffer 4M -- false
      look at it:
        kfgraph why 'a b.dat'
        kfgraph show 'a b.dat' --root do_x
        kfgraph top 'a b.dat'
    """


def test_all_that_may_be_said_of_a_recording() -> None:
    assert "".join(f"{line.plain}\n" for line in summary(WHOLE)) == dedent(SUMMARY)


@pytest.mark.parametrize(
    ("values", "first"),
    [
        ({}, "kfgraph: t.dat: 10 B, recorded 1.0 ms, nothing lost"),
        ({"n_calls": 1}, "kfgraph: t.dat: 10 B, recorded 1.0 ms, nothing lost"),
        ({"n_calls": 0, "n_tasks": 0}, "kfgraph: t.dat: 0 calls of 0 tasks, 10 B, recorded 1.0 ms, nothing lost"),
        ({"partial": "cut"}, "kfgraph: t.dat: 10 B, recorded 1.0 ms"),
        ({"lost": ((0, 3, 0),)}, "kfgraph: t.dat: 10 B, recorded 1.0 ms"),
    ],
)
def test_nothing_is_said_to_be_lost_only_where_that_is_so(values: dict[str, object], first: str) -> None:
    result = replace(CaptureSummary("t.dat", 10, 999_960, None, None), **values)  # type: ignore[arg-type]
    lines = [line.plain for line in summary(result)]
    assert lines[0] == first
    assert [line for line in lines if "100%" in line] == (
        ["  CPU 0 lost 3 events, 100% of what happened there"] if "lost" in values else []
    )
    assert lines[-3:] == ["  look at it:", "    kfgraph show t.dat", "    kfgraph top t.dat"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "recording, 2 s, 2.0 KiB, 1,000 events, 1,234/s"),
        ({"n_events": 1, "n_lost": 1}, "recording, 2 s, 2.0 KiB, 1 event, 1,234/s, 1 lost"),
        ({"stage": "arming"}, "switching the tracer on, 2 s, 2.0 KiB"),
        ({"stage": "finishing", "elapsed_s": 10.6}, "finishing the file, 11 s, 2.0 KiB"),
        ({"stage": "waiting"}, "waiting, 2 s, 2.0 KiB"),
    ],
)
def test_the_line_while_it_goes_on(values: dict[str, object], text: str) -> None:
    usual = {"stage": "recording", "elapsed_s": 1.9, "n_bytes": 2_048, "n_events": 1_000, "per_second": 1_234.4}
    assert progress_line(**{**usual, "n_lost": 0, **values}) == text  # type: ignore[arg-type]


@pytest.mark.parametrize("said", [":bug: [b]f[/b] 123", "f [module] :smile:", "/a/b 'x' True 0x1f"])
def test_what_is_printed_on_a_console_stays_as_it_is(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No emojis, no markup, no colours for what looks like a number or an address."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    stdout_console().print(said)
    assert sys.stdout.getvalue() == f"{said}\n"

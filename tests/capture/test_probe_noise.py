"""What is not traced for the sake of return probes: docs/kernels.md shows the same names as the code has."""

from __future__ import annotations

import re
from pathlib import Path

from kfgraph.kernel.loader import LOADER_FUNCTIONS, PROBE_NOISE, present

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kernels.md"
KERNELS = ("6.1", "6.12", "7.2")


def measured() -> dict[str, tuple[str, ...]]:
    """Function -> the kernels in which the page says it can be traced."""
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE.read_text(), re.M)
    cells = {name: [cell.strip() for cell in marks.split("|")] for name, marks in rows}
    assert all(set(marks) <= {"yes", "-"} and len(marks) == len(KERNELS) for marks in cells.values())
    return {n: tuple(k for k, mark in zip(KERNELS, marks, strict=True) if mark == "yes") for n, marks in cells.items()}


def test_the_page_has_a_row_for_every_name_in_order() -> None:
    assert tuple(measured()) == PROBE_NOISE


def test_every_kernel_has_what_arms_and_what_hits_a_probe() -> None:
    table = measured()
    for kernel in KERNELS:
        functions = frozenset(name for name, kernels in table.items() if kernel in kernels)
        noise = present(PROBE_NOISE, functions)
        # Without this one a single probe on a module adds 72,500 lines.
        assert "register_kretprobe" in noise and "kprobes_module_callback" in noise
        assert {"kretprobe_rethook_handler", "rethook_trampoline_handler"} & set(noise), kernel
        assert set(noise) == functions


def test_nothing_that_tells_why_a_load_failed_is_hidden() -> None:
    assert len(set(PROBE_NOISE)) == len(PROBE_NOISE)
    assert not set(PROBE_NOISE) & set(LOADER_FUNCTIONS)
    # EPERM of a kernel that is locked down comes from here, though every probe being armed asks it too.
    assert "security_locked_down" not in PROBE_NOISE

"""What setting return probes cost, where no companion file tells of them: their events in the trace do."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import kfgraph
from builder.tables import call, trace_of
from kfgraph import passes
from kfgraph.analyze.owncost import LABEL, OF_OTHERS, own_cost
from kfgraph.model.trace import Trace
from kfgraph.passes import module_names
from kfgraph.passes.given import Given
from running import kfgraph as run

EXAMPLES = Path(__file__).parents[2] / "examples"
FOO = EXAMPLES / "insmod-foo-fail19.dat"
ROBUST = "blocking_notifier_call_chain_robust"
CHAIN = "blocking_notifier_call_chain"


def costs(trace: Trace) -> tuple[str, dict[str, int]]:
    cost = own_cost(trace)
    return cost.label, {
        trace.symbols.names[trace.calls.func[row]]: ns for row, ns in zip(cost.rows, cost.ns, strict=True)
    }


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A recording of kfgraph's that was copied without its companion."""
    return Path(shutil.copy(FOO, tmp_path / "alone.dat"))


def test_a_copy_without_its_companion_gives_the_same_cost(alone: Path) -> None:
    with_companion, copy = kfgraph.load(FOO), kfgraph.load(alone)
    assert costs(copy) == costs(with_companion) == (LABEL, {ROBUST: 502_346_374, CHAIN: 100_568_281})
    assert kfgraph.top(copy).self_ns == kfgraph.top(with_companion).self_ns
    assert copy.probed == {""} and with_companion.probed == frozenset()


def test_a_copy_says_what_it_lacks(alone: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    said = f"kfgraph recorded this file, and {alone}.kfgraph.json is missing: return values"
    for command in ("show", "top", "why"):
        _, out, err = run(command, alone)
        assert err.startswith(f"kfgraph: {said}") and err.count("\n") == 1
        assert "blocking_notifier_call_chain" not in out
    assert run("top", alone, "--strict")[0] == 5
    with alone.open("rb") as stream:
        notices = kfgraph.load(stream).notices
    assert [n.text for n in notices if n.code == "companion-missing"] == [
        "kfgraph recorded this file, and TRACE.kfgraph.json is missing: return values, names in an unloaded module and "
        "which calls are the command's are not known"
    ]
    # One that is there and cannot be read is another matter; and so is a recording that is not kfgraph's.
    Path(f"{alone}.kfgraph.json").write_text("{")
    codes = [n.code for n in kfgraph.load(alone).notices]
    assert "companion-unread" in codes and "companion-missing" not in codes
    assert "companion-missing" not in [n.code for n in kfgraph.load(EXAMPLES / "insmod-fail19.dat").notices]


def test_what_probes_cost_that_were_never_hit_is_not_known(tmp_path: Path) -> None:
    def unhit(trace: Trace) -> Trace:
        """Probes of kfgraph's whose functions did not run."""
        trace = replace(trace, companion=None, notices=(), meta=replace(trace.meta, details={"probes": "kfgraph"}))
        return passes.apply(trace, Given())

    loaded = unhit(loading(tmp_path, "sched_waking: comm=x"))
    said = [notice.text for notice in loaded.notices]
    assert len(said) == 1 and said[0].endswith(
        "what it took to set return probes is in the self time of notifier calls"
    )
    assert costs(loaded)[1] == {}
    (other,) = unhit(trace_of([call("alpha")])).notices
    assert other.code == "companion-missing" and "set return probes" not in other.text


def test_probes_that_were_set_by_hand_cost_as_much_and_are_not_kfgraphs() -> None:
    assert costs(kfgraph.load(EXAMPLES / "insmod-fail19.dat")) == (OF_OTHERS, {ROBUST: 449_735_003, CHAIN: 105_220_072})
    assert OF_OTHERS == "setting return probes"
    _, out, _ = run("show", EXAMPLES / "insmod-fail19.dat", "--max-rows", "12")
    assert "├ setting return probes" in out and "kfgraph: setting" not in out
    _, out, _ = run("info", EXAMPLES / "insmod-fail19.dat")
    told = " ".join(out.split())
    assert "return probes in a module that was loaded: setting them took ≤ 554.955 ms, in no time above" in told


def test_the_cost_is_apart_too_where_a_file_names_the_module_s_functions(monkeypatch) -> None:
    """With --module the cost came back as the hot path: 73 % of the tree, under a kernel function's name."""

    def named(trace: Trace, given: Given) -> Trace:
        symbols = trace.symbols
        gone = symbols.addresses[~symbols.resolved].tolist()
        return replace(trace, symbols=symbols.with_names({at: (f"f_{at:x}", "widget") for at in gone if at}))

    monkeypatch.setattr(module_names, "apply", named)
    path = EXAMPLES / "insmod-fail19.dat"
    trace = kfgraph.load(path, modules="widget.ko")
    assert "widget" in trace.symbols.modules and trace.probed == {"widget"}
    assert costs(trace) == costs(kfgraph.load(path))


@pytest.mark.parametrize("name", ["insmod-fail19", "insmod-foo-fail19"])
def test_the_text_of_a_recording_gives_the_same_cost(name: str) -> None:
    binary = own_cost(kfgraph.load(EXAMPLES / f"{name}.dat"))
    text = own_cost(kfgraph.load(EXAMPLES / f"{name}.report.txt.xz"))
    # Durations of a text are rounded to a nanosecond.
    assert text.label == OF_OTHERS and len(text) == 2
    assert text.known_ns == pytest.approx(binary.known_ns, abs=2_000)


def loading(tmp_path: Path, event: str, *, called: str = "demo_init [demo]") -> Trace:
    """A load of a module, as the file ``trace`` prints it, with one more event."""
    lines = [
        ("load_module() {", ""), (f"  {ROBUST}() {{", ""), ("    mutex_lock();", "1.000 us"), ("  }", "901.000 us"),
        ("  do_one_initcall() {", ""), (f"    {called}() {{", ""), ("      kfree();", "1.000 us"),
        (f"      /* {event} */", ""), ("    }", "9.000 us"), ("  }", "20.000 us"), ("}", "1000.000 us"),
    ]  # fmt: skip
    path = tmp_path / "trace.txt"
    head = "# tracer: function_graph\n#\n# CPU  DURATION         FUNCTION CALLS\n# |     |   |        |   |   |   |\n"
    path.write_text(head + "".join(f" 0) {took:>13} |  {text}\n" for text, took in lines))
    return kfgraph.load(path)


@pytest.mark.parametrize(
    ("event", "called", "probed"),
    [
        # As the kernel prints it, with and without a name.
        ("demo: (do_one_initcall+0x56/0x200 <- demo_init [demo]) ret=0x0", "demo_init [demo]", {"demo"}),
        ("demo: (demo_x+0x5/0x20 [demo] <- demo_init [demo]) arg1=0x0", "demo_init [demo]", {"demo"}),
        ("demo: (do_one_initcall+0x56/0x200 <- 0xffffffffc0a9d000) ret=0x0", "0xffffffffc0a9d000", {""}),
        # As trace-cmd prints it: the function comes first.
        ("demo: (ffffffffc0a9d000 <- ffffffff810768d0) ret=0x0", "0xffffffffc0a9d000", {""}),
        ("demo: (ffffffff810768d0 <- ffffffffc0a9d000) ret=0x0", "0xffffffffc0a9d000", set()),
        # A probe in the kernel, also where a module called the function; a probe of an entry; other events.
        ("demo: (demo_init+0x56/0x200 [demo] <- kfree) ret=0x0", "demo_init [demo]", set()),
        ("demo: (demo_init+0x0/0x200 [demo]) a=1", "demo_init [demo]", set()),
        ("demo: --> demo_init [demo] (0) <- do_one_initcall", "demo_init [demo]", set()),
        ("demo: x (a <- demo_init [demo]) ret=0x0", "demo_init [demo]", set()),
        ("demo: (a <- 0xfffffffffffffffff) ret=0x0", "0xffffffffc0a9d000", set()),
    ],
)
def test_which_events_tell_of_a_probe_in_a_module(tmp_path: Path, event: str, called: str, probed: set[str]) -> None:
    trace = loading(tmp_path, event, called=called)
    assert len(trace.calls) == 6 and len(trace.marks) == 1
    assert trace.probed == probed
    assert costs(trace)[1] == ({ROBUST: 900_000} if probed else {})


def test_the_probe_of_one_module_is_no_cost_of_another(tmp_path: Path) -> None:
    trace = loading(tmp_path, "demo: (do_one_initcall+0x56/0x200 <- other_init [other]) ret=0x0")
    assert trace.probed == {"other"} and costs(trace)[1] == {}

"""What a tree says to type brings back what is hidden, typed as it stands."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import kfgraph.parse
from builder.tables import Call, call, trace_of
from kfgraph.analyze.callers import callers
from kfgraph.analyze.calltree import call_tree
from kfgraph.analyze.fold import Kind, fold
from kfgraph.analyze.visibility import FoldOptions
from kfgraph.cli.app import main
from kfgraph.errors import NoMatchError
from kfgraph.model.trace import Trace
from kfgraph.render.tree import tree_view
from show.test_what_stays import chained, failing, rows, text

CUT = Path(__file__).parents[1] / "fixtures" / "traces" / "cut"
EXAMPLES = Path(__file__).parents[2] / "examples"

OPTIONS = [
    "", "--calls", "--root '*'", "--root '*' --merge", "--depth 2", "--calls --depth 2", "--min 1ms", "--min 5%",
    "--calls --min 100us", "--calls --min 1%", "--max-rows 10", "--calls --max-rows 10", "--root '*' --max-rows 8",
    "--merge --max-rows 15", "--calls-to '*alloc*'", "--calls-to '*lock*' --max-rows 30", "--calls-to '*' --depth 3",
    "--errors", "--failed", "--all --min 1ms", "--all --depth 2", "--expand 'vfs_*'", "--with args,returns",
    "--with cpu --max-rows 12", "--start", "-e '*'", "--root '*' --slowest 30", "--root '*' --nth 1 --max-rows 5",
    "--open-irq",
]  # fmt: skip
HINT = re.compile(
    r"(--[a-z-]+(?: (?:'[^']*'|[^\s,'-][^\s,']*))?(?: --[a-z-]+(?: (?:'[^']*'|[^\s,'-][^\s,']*))?)*)"
    r" (?:shows? them|shows more|lists all|sums? (?:it|them) up|goes deeper|opens interrupts)"
)
COUNT = re.compile(r"([\d,]+) of ([\d,]+) ((?:failed )?calls? of .*?|calls?|rows?) not shown: ")


def typed(trace: str, *args: str) -> tuple[int, str, str]:
    """(exit code, standard output on one line, messages)."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["show", trace, *args])
    return code, out.getvalue().replace("\n", " "), err.getvalue()


def hidden(shown: str) -> dict[str, int]:
    """What is hidden, of each kind that is counted."""
    return {what: int(n.replace(",", "")) for n, _, what in COUNT.findall(shown)}


def hints(shown: str) -> list[tuple[str, list[str]]]:
    """(what is hidden, the options that bring it back)."""
    found = []
    counts = list(COUNT.finditer(shown))
    for i, count in enumerate(counts):
        said = shown[count.end() : counts[i + 1].start() if i + 1 < len(counts) else len(shown)]
        found += [(count[3], shlex.split(hint)) for hint in HINT.findall(said) if not hint.startswith("--calls")]
    return found


def with_hint(given: list[str], hint: list[str]) -> list[str]:
    """The command line with the options of a hint, which take the place of those that stand there."""
    names = {word for word in hint if word.startswith("--")}
    kept: list[str] = []
    skip = False
    for word in given:
        if word.startswith("-"):
            skip = word in names
        if not skip:
            kept.append(word)
    return [*kept, *hint]


@pytest.fixture
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Trace] = {}
    load = kfgraph.parse.load

    def again(path: str, **how: object) -> Trace:
        if str(path) not in kept:
            kept[str(path)] = load(path, **how)  # type: ignore[arg-type]
        return kept[str(path)]

    monkeypatch.setattr(kfgraph.parse, "load", again)
    monkeypatch.setenv("COLUMNS", "500")


@pytest.mark.usefixtures("loaded_once")
@pytest.mark.parametrize(
    ("file", "at_least"),
    [
        (CUT / "7.2-retval.dat", 20), (CUT / "6.1-syscalls.dat", 20), (CUT / "6.12-thresh.dat", 15),
        (EXAMPLES / "insmod-foo-fail19.dat", 15),
    ],
    ids=["retval", "syscalls", "thresh", "foo"],
)  # fmt: skip
def test_every_hint_works_as_it_is_typed(file: Path, at_least: int) -> None:
    n_typed = 0
    for options in OPTIONS:
        given = shlex.split(options)
        code, shown, said = typed(str(file), *given)
        if code:
            # Not every trace has what every option asks for.
            assert code == 6 or "holds no return values" in said, options
            continue
        for what, hint in hints(shown):
            line = with_hint(given, hint)
            code, more, said = typed(str(file), *line)
            assert code == 0, (options, hint, said)
            assert hidden(more).get(what, 0) < hidden(shown)[what], (options, hint, hidden(shown), hidden(more))
            n_typed += 1
    assert n_typed >= at_least


def test_what_is_hidden_without_a_hint_says_why() -> None:
    assert hints("9 of 10 calls not shown: --max-rows 24 shows more, --calls-to left them out") == [
        ("calls", ["--max-rows", "24"])
    ]
    shown = "3 of 4 calls of '*a*' not shown: --callers '*a*' sums them up"
    shown += " 9 of 10 calls not shown: --min 1.5ms shows more"
    assert hints(shown) == [("calls of '*a*'", ["--callers", "*a*"]), ("calls", ["--min", "1.5ms"])]
    assert hidden(shown) == {"calls of '*a*'": 3, "calls": 9}
    assert with_hint(["--min", "5%", "--with", "cpu"], ["--min", "0"]) == ["--with", "cpu", "--min", "0"]
    assert with_hint(["--errors", "--all"], ["--errors"]) == ["--all", "--errors"]


def test_what_lists_all_matches_does(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [call("f", 100 + i, *[call(f"g{i}_{k}", 10 + k) for k in range(9)]) for i in range(61)]
    monkeypatch.setattr(kfgraph.parse, "load", lambda path, **_: trace_of(calls))
    monkeypatch.setenv("COLUMNS", "300")
    shown = typed("built", "--root", "f")[1]
    assert len(re.findall(r"#\d+ +f ", shown)) == 20
    ((_, hint),) = [(what, hint) for what, hint in hints(shown) if hint[0] == "--max-rows"]
    assert len(re.findall(r"#\d+ +f ", typed("built", "--root", "f", *hint)[1])) == 61
    assert len(re.findall(r"#\d+ +f ", typed("built", "--root", "f", "--max-rows", "60")[1])) == 30


def test_a_number_of_rows_is_one_with_which_more_shows() -> None:
    # What failed takes more rows than were asked for, twice over.
    tree = call_tree(chained(12, slow=0, ns=0))
    asked = FoldOptions(max_rows=4, limit_asked=True)
    extra = call_tree(chained(300, slow=0, ns=0))
    for each in (tree, extra):
        view = tree_view(each, asked)
        found = re.search(r"--max-rows (\d+) shows more", text(view))
        if found is None:
            assert "--max-rows 0 shows them" in text(view) or "--merge sums them up" in text(view)
            continue
        more = fold(each.tree, FoldOptions(max_rows=int(found[1]), limit_asked=True))
        assert more.n_hidden < view.folded.n_hidden
    assert found is not None and int(found[1]) > 8


@pytest.mark.parametrize("most", [12, 24, 48, 96])
def test_the_rows_that_were_asked_for_are_used(most: int) -> None:
    trace = kfgraph.load(EXAMPLES / "insmod-dummy.report.txt.xz")
    view = tree_view(call_tree(trace, root=["do_init_module"]), FoldOptions(max_rows=most, limit_asked=True))
    assert 0.85 * most <= len(view) <= most


# What was asked for by name


def loops(n: int, *, depth: int = 1) -> Call:
    """``n`` ways to a call of kfree through functions of their own, each ``depth`` calls long."""
    ways = []
    for i in range(n):
        way = call("kfree", 5)
        for k in range(depth):
            way = call(f"way{i}_{k}", 10 + i, way)
        ways.append(way)
    return call("root", 5, *ways, *[call("other", 900_000)] * 9)


def frees(n: int, *, depth: int, max_rows: int | None, merge: bool = False) -> tuple[int, str]:
    tree = call_tree(trace_of([loops(n, depth=depth)]), root=["root"], merge=merge)
    options = FoldOptions(max_rows=max_rows, limit_asked=bool(max_rows), calls_to=["kfree"])
    view = tree_view(tree, options)
    return sum(row.startswith("kfree") for row in rows(view)), text(view)


def test_more_rows_show_more_of_what_was_asked_for_by_name() -> None:
    n_before = 0
    for most in (20, 70, 120, 250):
        n_shown, shown = frees(200, depth=2, max_rows=most)
        assert n_shown > n_before
        assert f"\n{200 - n_shown} of 200 calls of kfree not shown: --callers kfree sums them up\n" in shown
        n_before = n_shown
    for most in (700, None):
        n_shown, shown = frees(200, depth=2, max_rows=most)
        assert n_shown == 200
        assert "calls of kfree" not in shown


@pytest.mark.parametrize("merge", [False, True])
def test_what_lists_all_that_was_asked_for_by_name_is_readable(merge: bool) -> None:
    n_shown, shown = frees(150, depth=1, max_rows=60, merge=merge)
    assert 20 <= n_shown < 100
    assert f"\n{150 - n_shown} of 150 calls of kfree not shown: --max-rows 0 shows them\n" in shown
    n_shown, shown = frees(150, depth=1, max_rows=None, merge=merge)
    assert (n_shown, "calls of kfree" in shown) == (150, False)


def test_what_was_asked_for_by_name_is_combined_from_the_roots_on_where_that_shows_more() -> None:
    # 60 loops of one way: what is slow would take all the room for single calls.
    item = call("slow", 100_000, call("slower", 90_000, call("kfree", 5)), call("c", 50, call("kfree", 3)))
    middle = call("fast", 10, call("b", 10, call("kfree", 2)))
    parts = [part for i in range(60) for part in (item, call(f"odd{(i * i + i // 3) % 7}", i, middle))]
    trace = trace_of([call("root", 5, *parts)])
    view = tree_view(call_tree(trace, root=["root"]), FoldOptions(calls_to=["kfree"]))
    tree, calls = view.folded.tree, view.folded.node[view.folded.kind == Kind.CALL]
    free = tree.labels.index("kfree")
    assert int(tree.count[calls[tree.label[calls] == free]].sum()) == 180
    assert "calls of kfree not shown" not in text(view)
    assert len(view) < 60


def test_what_a_limit_of_depth_hides_of_it_is_counted_with_the_depth_that_shows_it() -> None:
    trace = trace_of([call("root", 5, call("kfree", 1), call("a", 1, call("b", 1, call("c", 1, call("kfree", 1)))))])
    tree = call_tree(trace, root=["root"])
    shown = text(tree_view(tree, FoldOptions(max_rows=None, depth=1, calls_to=["kfree"])))
    assert "\n1 of 2 calls of kfree not shown: --depth 4 shows them\n" in shown
    assert "of kfree not" not in text(tree_view(tree, FoldOptions(max_rows=None, depth=4, calls_to=["kfree"])))
    closed = text(tree_view(tree, FoldOptions(collapse=["b"], calls_to=["kfree"])))
    assert "\n1 of 2 calls of kfree not shown: --collapse closed them\n" in closed


def test_calls_to_with_errors_asks_for_calls_that_are_both() -> None:
    trace = failing(
        call("sys_a", 9, call("kfree", 1), call("bad", 2, call("why", 1))),
        call("sys_b", 9, call("good", 2, call("kfree", 1))),
        values={"bad": -22, "why": -22, "sys_a": -22},
    )
    # What failed is a root: only so are errors whose type is not known on the way of one.
    tree = call_tree(trace, root=["sys_a", "sys_b"])
    asked = FoldOptions(calls_to=["bad"], errors=True)
    view = tree_view(tree, asked)
    assert [row.split(" = ")[0].split(" … ")[0] for row in rows(view)] == ["#1 sys_a", "bad"]
    assert "5 of 7 calls not shown: --calls-to and --errors left them out" in text(view)
    with pytest.raises(NoMatchError, match="--calls-to with --errors: no call of 'kfree' failed") as missed:
        fold(tree.tree, FoldOptions(calls_to=["kfree"], errors=True))
    assert missed.value.hint == "leave one of them out"
    alone = fold(tree.tree, FoldOptions(errors=True))
    assert "why" in {alone.tree.labels[alone.tree.label[node]] for node in alone.node.tolist() if node >= 0}


@pytest.mark.parametrize("width", [40, 60, 70, 100, 200])
def test_the_heading_is_no_wider_than_the_screen(width: int) -> None:
    name = "a_function_with_" + "quite_" * 10 + "a_name"
    trace = failing(*[call(name, 1_000 + i, call("probe", 10)) for i in range(30)], values={name: -19})
    tree = call_tree(trace, root=[name])
    heading = tree_view(tree, FoldOptions(open_roots="one"), width=width).title()
    assert max(map(len, heading)) <= width
    said = "30 matches, 30.735 us, open: #1, the first that seems to have failed (--nth N, --slowest N, --merge)"
    assert " ".join(heading) == said
    assert not any(line.endswith("--nth") or line.startswith("N") for line in heading)
    of_callers = tree_view(callers(trace, ["probe", name]), FoldOptions(), width=width)
    lines = text(of_callers).splitlines()
    assert max(map(len, lines)) <= width
    assert name in "".join(of_callers.title())


def test_failed_says_how_many_others_seem_to_have() -> None:
    inner = call("vfs_get_tree", 9, call("get_tree", 8, call("fill_super", 7), call("tidy", 1)))
    trace = failing(
        call("__x64_sys_mount", 10, inner), call("__x64_sys_read", 5, call("left", 1)),
        values={
            "__x64_sys_mount": -22, "vfs_get_tree": -22, "get_tree": -5, "fill_super": -117, "tidy": -5, "left": -1,
        },
    )  # fmt: skip

    def shown_of(trace: Trace, **filters: Any) -> str:
        return text(tree_view(call_tree(trace, **filters), FoldOptions()))

    shown = shown_of(trace, failing=True)
    # `tidy` and `fill_super` are below a call of which nothing is sure; -1 may be any number.
    assert "\n3 more seem to have failed; to list them: kfgraph errors built --limit 0 --unsure\n" in shown
    assert "get_tree = -5" not in shown
    one = shown_of(trace, failing=True, root=["__x64_sys_read", "fill_super", "vfs_get_tree"])
    assert "\n3 more seem to have failed; " in one
    assert "more seem" not in shown_of(trace, failing=True, returning=["EINVAL"])
    assert "more seem" not in shown_of(failing(inner, values={}), root=["vfs_get_tree"])

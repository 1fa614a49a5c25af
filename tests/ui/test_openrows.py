"""The rows of a tree that is opened step by step, against a plain model."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfgraph.analyze import open_rows
from kfgraph.analyze.lookup import Standings, named, next_of, slow
from kfgraph.analyze.open_rows import Beside, OpenRows
from kfgraph.model.tree import TreeTable


def tree_of(parents: list[int], times: list[int], labels: list[int]) -> TreeTable:
    n = len(parents)
    level, end = np.zeros(n, np.int16), np.arange(1, n + 1, dtype=np.int32)
    for i, parent in enumerate(parents):
        level[i] = level[parent] + 1 if parent >= 0 else 0
    for i in range(n - 1, -1, -1):
        if parents[i] >= 0:
            end[parents[i]] = max(end[parents[i]], end[i])
    total = np.array(times, np.int64)
    return TreeTable(
        tuple("abc"), parent=np.array(parents, np.int32), end=end, level=level, label=np.array(labels, np.int32),
        total_ns=total, self_ns=total, row=np.arange(n, dtype=np.int32), flags=np.zeros(n, np.uint32),
    )  # fmt: skip


@st.composite
def trees(draw: Any) -> TreeTable:
    seed, n = draw(st.integers(0, 10**9)), draw(st.integers(1, 120))
    rng = random.Random(seed)
    way: list[int] = []
    parents = []
    for i in range(n):
        way = way[: rng.randint(0, len(way))] if rng.random() < 0.6 else way
        parents.append(way[-1] if way else -1)
        way = [*way, i]
    return tree_of(parents, [rng.randint(0, 9) for _ in range(n)], [rng.randint(0, 2) for _ in range(n)])


class Plain:
    """The slow, obvious twin: everything is looked for anew."""

    def __init__(self, tree: TreeTable, beside: list[Beside]) -> None:
        self.tree, self.beside = tree, sorted(beside)
        self.groups: dict[int, list[int]] = {}
        self.members: dict[int, list[int]] = {}
        self.n_made = len(beside)
        self.open: set[int] = set()
        self.hidden: set[int] = set()
        self.by_time = False
        self.tops = tree.roots.tolist()

    def children(self, node: int) -> list[int]:
        if node in self.members:
            return sorted(self.members[node], key=self.place)
        kids = [k for k in self.kids(node) if all(k not in self.members[one] for one in self.groups.get(node, ()))]
        kids += [one for one in self.groups.get(node, ()) if self.label(one) not in self.hidden]
        more = [(b.before, len(self.tree) + i) for i, b in enumerate(self.beside) if b.parent == node]
        if self.by_time or node in self.groups:
            return sorted(kids, key=self.place) + [item for _, item in more]
        return [item for _, _, item in sorted([(k, 1, k) for k in kids] + [(at, 0, item) for at, item in more])]

    def kids(self, node: int) -> list[int]:
        kids = [k for k in range(len(self.tree)) if self.tree.parent[k] == node]
        return [k for k in kids if int(self.tree.label[k]) not in self.hidden]

    def label(self, item: int) -> int:
        return int(self.tree.label[self.members.get(item, [item])[0]])

    def place(self, item: int) -> tuple[int, int]:
        nodes = self.members.get(item, [item])
        return -sum(int(self.tree.total_ns[node]) for node in nodes) if self.by_time else 0, nodes[0]

    def group(self, parent: int) -> bool:
        """Folds the children by function, or unfolds them; whether there was anything to fold."""
        if self.groups.pop(parent, None) is not None:
            return True
        of_label = [[k for k in self.kids(parent) if self.tree.label[k] == label] for label in range(3)]
        parts = [part for part in of_label if len(part) > 1]
        for part in parts:
            item = len(self.tree) + self.n_made
            self.members[item] = part
            self.groups.setdefault(parent, []).append(item)
            self.n_made += 1
        return bool(parts)

    def within(self, item: int) -> set[int]:
        """All that is an item at or below it."""
        nodes = {k for top in self.members.get(item, [item]) for k in range(top, int([*self.tree.end, 0][top]))}
        return nodes | {item} | {one for parent in nodes for one in self.groups.get(parent, ())}

    def hot_path(self, node: int) -> list[int]:
        path = [node]
        while True:
            kids = [k for k in self.kids(path[-1]) if self.tree.total_ns[k] > 0]
            if not kids:
                return path
            path.append(min(kids, key=lambda k: (-int(self.tree.total_ns[k]), k)))

    def rows(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []

        def add(item: int, level: int) -> None:
            found.append((item, level))
            if item in self.open:
                for child in self.children(item):
                    add(child, level + 1)

        tops = [t for t in self.tops if int(self.tree.label[t]) not in self.hidden]
        if self.by_time:
            tops.sort(key=lambda t: (-int(self.tree.total_ns[t]), t))
        for top in tops:
            add(top, 0)
        return found


@pytest.mark.parametrize("many", [1, 4_096])
def test_opening_and_closing_is_what_a_plain_model_does(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """``many``: of so many siblings the order by time is kept."""
    monkeypatch.setattr(open_rows, "_MANY", many)
    steps_agree()


@settings(max_examples=150, deadline=None)
@given(trees(), st.integers(0, 10**9), st.booleans())
def steps_agree(tree: TreeTable, seed: int, lossy: bool) -> None:
    rng = random.Random(seed)
    beside = []
    for i in range(3 if lossy else 0):
        parent = rng.randrange(len(tree))
        kids = np.flatnonzero(tree.parent == parent)
        beside.append(Beside(parent, int(rng.choice([*kids.tolist(), int(tree.end[parent])])), i))
    rows, plain = OpenRows(tree, beside=beside), Plain(tree, beside)
    for _ in range(25):
        what = rng.choice(["open", "close", "all", "none", "sort", "hide", "reveal", "group", "group", "hot", "zoom"])
        at = rng.randrange(len(rows)) if len(rows) else 0
        item = rows.item(at) if len(rows) else -1
        if what == "open" and item >= 0:
            before = len(rows)
            assert rows.may_open(item) == bool(plain.children(item))
            assert before + rows.open(at) == len(rows)
            if plain.children(item):
                plain.open.add(item)
        elif what == "close" and item >= 0:
            rows.close(at)
            plain.open.discard(item)
        elif what in ("all", "none") and (0 <= item < len(tree) or item in plain.members):
            rows.open_all(at, opened=what == "all")
            below = plain.within(item)
            plain.open = plain.open | below if what == "all" else plain.open - below
        elif what == "sort":
            plain.by_time = not plain.by_time
            rows.sort(by_time=plain.by_time)
        elif what == "hide":
            label = rng.randrange(3)
            plain.hidden ^= {label}
            rows.hidden[label] = label in plain.hidden
            rows.restart()
        elif what == "group":
            parent = rng.choice([item, rng.randrange(len(tree))]) if 0 <= item < len(tree) else 0
            assert rows.group(parent) == plain.group(parent)
            assert rows.is_grouped(parent) == (parent in plain.groups)
        elif what == "zoom":
            plain.tops = [item] if 0 <= item < len(tree) else tree.roots.tolist()
            rows.restart(np.array(plain.tops, np.int32))
        elif what in ("reveal", "hot"):
            node = rng.randrange(len(tree))
            if what == "hot" and item >= 0:
                of = plain.members.get(item, [rows.node(item)])
                node = plain.hot_path(min(of, key=lambda k: (-int(tree.total_ns[k]), k)))[-1]
            way = [node]
            while way[-1] not in plain.tops and tree.parent[way[-1]] >= 0:
                way.append(int(tree.parent[way[-1]]))
            found = rows.open_hot_path(at) if what == "hot" and item >= 0 else rows.reveal(node)
            if way[-1] not in plain.tops or any(int(tree.label[one]) in plain.hidden for one in way):
                assert found == -1
            else:
                plain.open |= set(way[1:]) | {one for k in way[1:] for one in plain.groups.get(k, ())
                                              if not set(way).isdisjoint(plain.members[one])}  # fmt: skip
                assert rows.item(found) == node
            assert rows.reachable(np.array([node], np.int32)).tolist() == [found >= 0]
        assert list(zip(rows.rows.tolist(), rows.levels.tolist(), strict=True)) == plain.rows()
    assert rows.rows.dtype == np.int32


def test_children_folded_by_function_hold_all_of_them() -> None:
    # 0 calls 1 (a), 2 (b), 3 (a), 4 (c), 5 (b).
    tree = tree_of([-1, 0, 0, 0, 0, 0], [20, 3, 4, 5, 1, 2], [2, 0, 1, 0, 2, 1])
    rows = OpenRows(tree)
    rows.open(0)
    assert rows.group(0)
    made = [rows.made(one) for one in rows.rows.tolist()]
    groups = [one for one in made if one is not None]
    assert [(g.members.tolist(), g.floor_ns) for g in groups] == [([1, 3], 8), ([2, 5], 6)]  # type: ignore[union-attr]
    assert rows.rows.tolist() == [0, 6, 7, 4]
    rows.open(1)
    assert (rows.rows.tolist(), rows.levels.tolist()) == ([0, 6, 1, 3, 7, 4], [0, 1, 2, 2, 1, 1])
    assert rows.item(rows.reveal(5)) == 5
    rows.group(0)
    assert rows.rows.tolist() == [0, 1, 2, 3, 4, 5]


def test_the_hot_path_goes_to_the_leaf() -> None:
    tree = tree_of([-1, 0, 0, 2, 2], [20, 3, 9, 4, 5], [0, 1, 2, 0, 1])
    rows = OpenRows(tree)
    assert rows.hot_path(0) == [0, 2, 4]
    assert rows.item(rows.open_hot_path(0)) == 4
    assert rows.rows.tolist() == [0, 1, 2, 3, 4]


def test_finding() -> None:
    tree = tree_of([-1, 0, 0, 2, 2], [20, 3, 9, 4, 5], [0, 1, 2, 0, 1])
    assert named(tree, "^[AB]$").tolist() == [] and named(tree, "^[ab]$").tolist() == [0, 1, 3, 4]
    assert slow(tree).tolist() == [0, 1, 2, 3, 4]
    nodes = np.array([1, 4], np.int32)
    assert [next_of(nodes, at) for at in (0, 1, 4)] == [0, 1, 0]
    assert [next_of(nodes, at, step=-1) for at in (0, 4)] == [1, 0]
    standing = Standings(tree).of(1)
    among = standing.among
    assert (standing.rank, *(of[0] for of in (among.n_calls, among.p50_ns, among.max_ns))) == (2, 2, 3, 5)


def test_the_caller_is_found_however_many_rows_are_between() -> None:
    """Two roots of 6,000 callees, of which one in the midst has 5,000 of its own; every row is open."""
    parents, midst = [-1], 1 + 3_000
    parents += [0] * 3_001 + [midst] * 5_000 + [0] * 2_999
    second = len(parents)
    parents += [-1] + [second] * 6_000
    rows = OpenRows(tree_of(parents, [1] * len(parents), [0] * len(parents)))
    rows.open_all(rows.row_of(second))
    rows.open_all(0)
    assert len(rows) == len(parents)
    asked = [0, 1, midst, midst + 1, midst + 4_095, midst + 4_096, midst + 4_097, midst + 5_000, midst + 5_001]
    asked += [second - 1, second, second + 1, second + 4_096, second + 4_097, len(parents) - 1]
    assert [rows.parent_row(row) for row in asked] == [parents[row] for row in asked]

"""The callers of functions beside the table of functions, a tree for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

from rich.text import Text

from kfgraph.analyze.callers import Of
from kfgraph.analyze.calltree import CallTree, subtrees
from kfgraph.analyze.visibility import FoldOptions, Why
from kfgraph.model.names import split_label
from kfgraph.model.spelling import shell_line, shell_word
from kfgraph.model.units import plural
from kfgraph.render.blocks import SCALE
from kfgraph.render.legend import AT_LEAST, legend
from kfgraph.render.rowmodel import RowModel
from kfgraph.render.screen import open_screen
from kfgraph.render.top import TopView
from kfgraph.render.tree import TreeView, tree_view
from kfgraph.render.wrapping import filled, with_command

ROWS = 12
"""So many rows of callers for a function where there are several."""
ROWS_OF_ONE = 40
_WHERE = "show --callers"
_AT_LEAST = "≥ at least: the self time of some calls is not known"


@dataclass(frozen=True, eq=False, repr=False)
class CallersView(TreeView):
    """The callers of one function, by the time ``of`` its calls; what it does not show, ``command`` shows."""

    of: Of = "total"
    command: str = ""

    @cached_property
    def model(self) -> RowModel:
        """The rows at this width."""
        return replace(super().model, of=self.of, options=dict.fromkeys(Why, _WHERE))

    def legend(self) -> list[str]:
        """Nothing: it is the same for several trees."""
        return []

    def marks(self) -> list[str]:
        """What the marks that occur mean, a mark each."""
        words = [word for part in legend(self.call_tree, self.model) for word in part]
        return [_AT_LEAST if word == AT_LEAST and self.of == "self" else word for word in words]

    def summary(self) -> list[str]:
        """How much is not shown, and what shows it."""
        n = int((~self.folded.visible).sum())
        said = f"{n:,} of {plural(len(self.folded.tree), 'row')} not shown; to see them:"
        return with_command(said, self.command, width=self.width or 10_000) if n else []


def print_callers(trees: CallTree, table: TopView, *, of: Of, typed: Sequence[str], before_table: bool) -> None:
    """Print the callers of each function, those of the table first, in its order, and the table: what was asked for by
    name stands before it. ``typed`` are the filters as options."""
    screen = replace(open_screen(), rows=None)
    tree, labels = trees.tree, table.result.labels
    if not before_table:
        screen.console.print(table)
    place = {label: i for i, label in reversed(list(enumerate(labels)))}
    named = [(place.get(tree.labels[tree.label[root]], len(labels)), root) for root in tree.roots.tolist()]
    options = FoldOptions(max_rows=ROWS_OF_ONE if len(named) == 1 else ROWS, max_roots=None)
    said: set[str] = set()
    for at, (_, root) in enumerate(sorted(named)):
        label = tree.labels[tree.label[root]]
        one = replace(trees, tree=subtrees(tree, tree.roots[tree.roots == root]))
        # A name that would be taken for a pattern is not put into a command.
        name = "FUNC" if set(split_label(label)[0]) & set("*?[") else shell_word(label)
        words = f"kfgraph show {trees.trace.meta.as_typed} --callers {name} {shell_line([*typed, '--min', '0'])}"
        base = tree_view(one, options, width=screen.width, links=table.links)
        given = {field.name: getattr(base, field.name) for field in fields(TreeView)}
        view = CallersView(**given, of=of, command=words)
        if at or not before_table:
            screen.console.print()
        screen.show(view)
        said.update(view.marks())
    marks = "".join(mark for _, mark in reversed(SCALE))
    for line in filled(sorted(said, key=lambda word: (marks.find(word[0]) % 99, word)), screen.width):
        screen.console.print(Text(line, style="dim"), soft_wrap=True)
    if before_table:
        screen.console.print()
        screen.console.print(table)

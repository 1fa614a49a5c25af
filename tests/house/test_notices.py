"""The one table of notices: what is made is in it, what is in it is made, and its page says the same."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

import pytest

from kfgraph.errors import NOTICES, SEVERITIES, Notice, NoticeKind, notice

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src" / "kfgraph"


@cache
def outside() -> dict[Path, ast.Module]:
    """Every file of the package but the table's own, as a syntax tree."""
    trees = {path.relative_to(SOURCE): ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}
    return {path: tree for path, tree in trees.items() if path != Path("errors.py")}


def calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
            yield node


def words_in(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def test_every_notice_is_made_from_the_table() -> None:
    assert [str(path) for path, tree in outside().items() if any(calls(tree, "Notice"))] == []


def test_what_a_place_asks_for_is_in_the_table_with_its_words() -> None:
    asked = 0
    for path, tree in outside().items():
        for call in calls(tree, "notice"):
            found = (getattr(node, "value", None) for node in ast.walk(call.args[0]))
            kinds = [kind for kind in found if isinstance(kind, str)]
            given = {word.arg for word in call.keywords} - {"flag", "details"}
            for kind in kinds:
                asked += 1
                assert kind in NOTICES, f"{path}:{call.lineno}"
                assert words_in(NOTICES[kind].many) | words_in(NOTICES[kind].one) == given, f"{path}:{call.lineno}"
    assert asked >= 20


def test_damage_is_in_the_table_and_shows_the_first() -> None:
    asked = set()
    for path, tree in outside().items():
        for call in [*calls(tree, "damage"), *(c for c in calls(tree, "add") if len(c.args) == 2)]:
            if call.args and isinstance(call.args[0], ast.Constant):
                kind = call.args[0].value
                asked.add(kind)
                assert words_in(NOTICES[kind].many) == words_in(NOTICES[kind].one) == {"first"}, f"{path}:{call.lineno}"
    assert asked >= {"cut-file", "options", "damaged-pages", "unknown-event"}


def test_no_notice_of_the_table_is_unused() -> None:
    literals = {node.value for tree in outside().values() for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert NOTICES.keys() - literals == set()


@pytest.mark.parametrize("key", NOTICES)
def test_a_notice_says_how_bad_it_is_and_can_be_said(key: str) -> None:
    kind = NOTICES[key]
    assert kind.severity in SEVERITIES
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*(:[a-z]+)?", key)
    assert words_in(kind.one) <= words_in(kind.many) and not words_in(kind.hint)
    assert not kind.many.endswith(".") and not kind.one.endswith(".")
    words = {word: f"<{word}>" for word in words_in(kind.many)}
    few, many = notice(key, **words), notice(key, 1_234, **words)
    assert few.code == many.code == key.partition(":")[0]
    assert (few.severity, few.hint, many.n) == (kind.severity, kind.hint, 1_234)
    assert few.sentence == (f"1 {kind.one}" if kind.one else kind.many).format(**words)
    assert many.sentence == f"1,234 {kind.many}".format(**words)


def test_a_word_with_braces_is_said_as_it_is() -> None:
    assert notice("trace-cmd", first="{x} {").sentence == "trace-cmd report printed an error: {x} {"
    assert notice("cut-file", first="a", details={"offset": 7}).details == {"offset": 7}
    assert notice("exit-missing", 2, flag=4) == Notice(
        "exit-missing", NOTICES["exit-missing"].many, 2, one=NOTICES["exit-missing"].one, flag=4
    )


def test_the_page_of_notices_is_written_from_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("notices", REPOSITORY / "scripts" / "notices.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = script.PAGE.read_text()
    assert script.filled(page) == page, "make notices"
    for key, kind in NOTICES.items():
        code, said, hint = (re.escape(part) for part in (key.partition(":")[0], kind.many, kind.hint))
        assert re.search(rf"(?m)^\| `{code}` \| .*{said} \| `?{hint}`? \|$", page)
    monkeypatch.setitem(NOTICES, "brand-new", NoticeKind("note", "flowers in {where}", "flower in {where}"))
    assert "| `brand-new` | 1 flower in {where}; N flowers in {where} |  |\n" in script.filled(page)

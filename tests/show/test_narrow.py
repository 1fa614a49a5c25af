"""What a row says itself where a narrow screen has no column for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from running import kfgraph as run

LEAF = " 0)   1.500 us    |      check_bit(); /* = {} */\n"
OPEN = "# tracer: function_graph\n#\n 0)               |  driver_open() {\n"
HEAD = OPEN + " 0)               |    look_at_all [mod]() {\n"
TAIL = " 0) * 50000.00 us |    } /* = 0 */\n 0) * 60000.00 us |  } /* = -19 */\n"


def shown(tmp_path: Path, text: str, width: int, *words: str) -> list[str]:
    path = tmp_path / "t.txt"
    path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        code, out, _ = run("show", path, *words)
    assert code == 0
    return out.splitlines()


def row(lines: list[str], name: str) -> str:
    (found,) = [line for line in lines if name in line and (" us" in line or " ms" in line)]
    return found


@pytest.mark.parametrize("width", [50, 60, 70, 80, 120, 200])
def test_a_row_of_several_calls_says_how_many_at_any_width(width, tmp_path) -> None:
    lines = shown(tmp_path, HEAD + LEAF.format(0) * 1_000 + TAIL, width)
    line = row(lines, "check_bit")
    (head,) = [line for line in lines if line.split()[0] == "total"]
    if "calls" in head.split():
        assert line.split()[-2] == "├▸check_bit" or "1,000" in line.split()
        assert "×" not in line
    else:
        assert "check_bit × 1,000" in line
    # A single call has no such number.
    assert "×" not in row(lines, "look_at_all")


def test_widths_with_and_without_the_column_are_both_among_them(tmp_path) -> None:
    text = HEAD + LEAF.format(0) * 1_000 + TAIL
    assert "× 1,000" in row(shown(tmp_path, text, 60), "check_bit")
    assert "×" not in row(shown(tmp_path, text, 120), "check_bit")


def test_of_several_calls_of_which_one_failed_the_row_says_one_of_how_many(tmp_path) -> None:
    text = HEAD + LEAF.format(0) * 2_999 + LEAF.format(-22) + TAIL
    narrow, wide = (row(shown(tmp_path, text, width), "check_bit") for width in (60, 140))
    assert "check_bit = -22 EINVAL? × 1 of 3,000" in narrow
    assert "check_bit = -22 EINVAL? × 1" in wide and " of " not in wide and "3,000" in wide


def test_where_all_failed_the_row_says_how_many(tmp_path) -> None:
    text = HEAD + LEAF.format(-22) * 30 + TAIL
    for width in (50, 60):
        assert sum("× 30 = -22 EINVAL?" in line for line in shown(tmp_path, text, width)) == 1


def test_a_time_that_is_not_known_has_no_share(tmp_path) -> None:
    text = OPEN + " 0)   1.000 us    |    b();\n 0)               |    c() {\n"
    lines = shown(tmp_path, text, 120)
    line = next(line for line in lines if "c ?" in line)
    assert "%" not in line and line.split()[:2] == ["?", "?"]


@pytest.mark.parametrize("width", [40, 44, 50, 56])
def test_the_name_of_a_module_goes_before_that_of_the_function(width, tmp_path) -> None:
    # Two functions of one module stay apart.
    inner = " 0)   1.000 us    |        demo_read_id [a_long_module](); /* = -19 */\n"
    text = (
        HEAD + " 0)               |      demo_probe_slot [a_long_module]() {\n" + inner
        + " 0)   2.000 us    |      } /* = -19 */\n" + TAIL
    )
    failed = [line.split("▸")[-1].split(" =")[0] for line in shown(tmp_path, text, width) if "= -19" in line]
    assert len(failed) == len(set(failed)) == 3
    assert failed[1].startswith("demo") and failed[2].startswith("demo")
    assert not any(name.endswith("]") and len(name.partition(" [")[0]) < 8 for name in failed)


def test_what_is_to_be_hidden_must_be_there(tmp_path) -> None:
    text = HEAD + LEAF.format(0) * 3 + TAIL
    assert not any("check_bit" in line for line in shown(tmp_path, text, 120, "--hide", "check_bit"))
    path = tmp_path / "t.txt"
    code, out, err = run("show", path, "--hide", "nosuch*")
    assert (code, out) == (6, "") and "--hide: no callee of 'nosuch*' in this tree" in err

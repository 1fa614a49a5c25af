"""``kfgraph flame``: the file, and the drawing on a terminal."""

from __future__ import annotations

import colorsys
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from builder.tables import call, trace_of
from kfgraph.analyze.flame import flame
from kfgraph.model.tasks import Task
from kfgraph.render.flame import svg as module
from kfgraph.render.flame.colours import colour_of, hash_of
from kfgraph.render.flame.svg import drawing, svg
from running import kfgraph

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAME = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "</title><script>alert(1)</script>", "]]><script>alert(2)</script>", "&lt;", '"><g onload="alert(3)">', "a\u202eb",
    "\x1b[41m", "\ufffe", "<!--", "$&", "__proto__",
)  # fmt: skip


def drawn(path: Path) -> ET.Element:
    return ET.fromstring(path.read_bytes())


def test_the_file_holds_each_frame_and_draws_the_wide_ones(tmp_path) -> None:
    path = tmp_path / "f.svg"
    code, out, err = kfgraph("flame", EXAMPLES / "insmod-fail19.dat", "-o", path)
    assert (code, out, err) == (0, "", "")
    root = drawn(path)
    titles = [one.text for one in root.iter(f"{NAME}title")]
    assert titles[:2] == ["insmod-260: 58.967 ms, 100.0%", "load_module: 58.967 ms, 100.0%, 1 call"]
    assert 50 < len(titles) < 600
    data = json.loads(root.find(f".//{NAME}script[@id='data']").text)
    assert len(data["value"]) == 1919 and data["whole"] == 58_967_499 and not data["icicle"]
    rects = [one for one in root.iter(f"{NAME}rect") if one.get("id") is None]
    below, above = (float(one.get("y")) for one in rects[:2])
    assert above == below - 16
    kfgraph("flame", EXAMPLES / "insmod-fail19.dat", "-o", path, "--icicle", "--title", "a < b\n")
    root = drawn(path)
    rects = [one for one in root.iter(f"{NAME}rect") if one.get("id") is None]
    assert [float(one.get("y")) for one in rects[:2]] == [42, 58]
    assert root.find(f"{NAME}text[@id='title']").text == "a < b\\n"


def test_nothing_is_loaded_from_anywhere() -> None:
    code, out, _ = kfgraph("flame", EXAMPLES / "insmod-fail19.dat", "-o", "-")
    assert code == 0
    (elixir,) = {url for url in re.findall(r"https?://[^\"']*", out) if url != "http://www.w3.org/2000/svg"}
    assert elixir.startswith("https://elixir.bootlin.com/linux/v6.1/A/ident/"), "where a click may lead"
    plain = kfgraph("flame", EXAMPLES / "insmod-fail19.dat", "-o", "-", "--no-links")[1]
    assert re.findall(r"https?://[^\"']*", plain) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"href=|src=|@import|url\(|\bfetch\(|XMLHttpRequest|innerHTML|document\.write|\beval\(", out)


def test_the_same_each_time_and_colours_by_name() -> None:
    runs = [kfgraph("flame", EXAMPLES / "cat-enoent.dat", "-o", "-")[1] for _ in range(2)]
    assert runs[0] == runs[1]
    assert colour_of("vfs_open", 0) == colour_of("vfs_open", 0) != colour_of("vfs_read", 0)
    # FNV-1a of "a", 32 bits: 0xe40c292c (Noll's test vectors).
    assert hash_of("") == 2166136261 / 2**32 and hash_of("a") == 0xE40C292C / 2**32
    hues = {name: {hue(colour_of(f"f{i} [{name}]", 1)) for i in range(5)} for name in ("ext4", "xfs")}
    assert [max(of) - min(of) < 5 for of in hues.values()] == [True, True]
    assert all(90 <= at <= 250 for of in hues.values() for at in of)
    assert abs(min(hues["ext4"]) - min(hues["xfs"])) > 10


def hue(colour: str) -> float:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return colorsys.rgb_to_hls(red, green, blue)[0] * 360


def graph_with(names):
    return flame(trace_of([call(name, 1_000, call("kfree", 5)) for name in names], tasks=[Task(7, names[0])]))


def test_hostile_names_become_neither_markup_nor_script() -> None:
    evil = ET.fromstring(svg(drawing(graph_with(HOSTILE), title=HOSTILE[0])).encode())
    plain = ET.fromstring(svg(drawing(graph_with([f"n{i}" for i in range(len(HOSTILE))]), title="t")).encode())
    shape = [(one.tag, sorted(one.attrib)) for one in evil.iter()]
    assert shape == [(one.tag, sorted(one.attrib)) for one in plain.iter()] and len(shape) > 40
    code = [[one.text for one in root.iter(f"{NAME}script")][1:] for root in (evil, plain)]
    assert code[0] == code[1] and len(code[0]) == 1
    names = json.loads(evil.find(f".//{NAME}script[@id='data']").text)["names"]
    assert "]]><script>alert(2)</script>" in names and "a\\u202eb" in names
    assert evil.find(f"{NAME}text[@id='title']").text == HOSTILE[0]


def test_of_too_many_frames_the_widest_are_kept_and_the_others_counted(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(module, "MOST", 100)
    path = tmp_path / "f.svg"
    code, _, err = kfgraph("flame", EXAMPLES / "insmod-fail19.dat", "-o", path)
    assert code == 0
    data = json.loads(drawn(path).find(f".//{NAME}script[@id='data']").text)
    n = len(data["value"])
    assert 90 <= n <= 100 and data["whole"] == 58_967_499 and data["value"][0] == 58_967_499
    assert f"{1919 - n:,} frames left out: the narrowest of too many (--root FUNC draws a part)" in err


def test_on_a_terminal_a_frame_is_as_wide_as_its_share(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    code, out, _ = kfgraph("flame", EXAMPLES / "insmod-foo-fail19.dat", "--by", "errors", "--icicle")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "7 calls that returned an error, 8 frames"
    assert lines[1] == "│insmod-116 100.0%" and lines[-1] == "│foo_re… [foo]"
    code, upward, _ = kfgraph("flame", EXAMPLES / "insmod-foo-fail19.dat", "--by", "errors")
    assert upward.splitlines()[1:] == lines[:0:-1]


@pytest.mark.parametrize("width", [20, 60, 200])
def test_every_line_fits_and_hidden_frames_are_counted(width, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    _, out, _ = kfgraph("flame", EXAMPLES / "cat-enoent.dat")
    drawing_lines = [line for line in out.splitlines()[1:] if "│" in line]
    assert max(map(len, drawing_lines)) <= width
    n_drawn = sum(line.count("│") for line in drawing_lines)
    said = f"… {12_915 - n_drawn:,} frames narrower than a column (-o flame.svg, --root FUNC)"
    assert said in " ".join(out.split())


def test_a_stack_deeper_than_a_screen_is_cut_and_counted(tmp_path) -> None:
    from builder.tables import deep
    from kfgraph.render.flame.lines import FlameView

    lines = [line.plain for line in FlameView(flame(deep(500))).lines(80)]
    assert len(lines) == 103
    n_deeper, n_narrow = (int(re.match(r"… (\d+) frames", line)[1]) for line in lines[-2:])
    assert lines[-2].endswith("beyond 100 levels (-o flame.svg)") and 100 + n_deeper + n_narrow == 501
    assert n_deeper > 380


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--by", "calls", "--compensate"], "--compensate does nothing with --by calls"),
        (["--by", "errors", "--compensate"], "--compensate does nothing with --by errors"),
        (["--title", "mine"], "--title does nothing with a graph on the terminal"),
        (["--by", "self", "--compensate"], ""),
        (["--title", "mine", "-o", "-"], ""),
    ],
)
def test_options_without_effect_are_named(words: list[str], said: str) -> None:
    code, _, err = kfgraph("flame", EXAMPLES / "cat-enoent.dat", *words)
    assert code == 0
    assert (said in err) if said else ("does nothing" not in err)

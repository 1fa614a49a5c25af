"""Which modules a command line loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kfgraph.capture.child import Command
from kfgraph.capture.loads import find_loads, module_files
from kfgraph.errors import CaptureError

DEPENDS = {
    ("dummy",): "insmod /lib/modules/6.1/dummy.ko \n",
    ("btrfs",): "insmod /m/xor.ko\ninsmod /m/raid6_pq.ko.xz\ninsmod /m/btrfs.ko \nbuiltin crc32c\n",
    ("-v", "dummy", "numdummies=2"): "insmod /lib/modules/6.1/dummy.ko numdummies=2\n",
}


def show_depends(words: Sequence[str]) -> str:
    return DEPENDS.get(tuple(words), "")


@pytest.mark.parametrize(
    ("line", "files"),
    [
        (["insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["/sbin/insmod", "-f", "/a/foo.ko", "fail=19"], ["/a/foo.ko"]),
        (["insmod", "foo.ko"], ["/here/foo.ko"]),
        (["busybox", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["kmod", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["sudo", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["sudo", "-u", "root", "-E", "--", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["sudo", "DEBUG=1", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["env", "-i", "-u", "HOME", "A=b", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["nice", "-n", "5", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["nice", "-n5", "timeout", "-k", "1", "30", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["taskset", "-c", "0", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["sh", "-c", "cd /tmp && insmod /a/foo.ko; insmod '/b c/bar.ko' x=1"], ["/a/foo.ko", "/b c/bar.ko"]),
        (["sudo", "bash", "-ec", "A=1 insmod /a/foo.ko || (rmmod foo; insmod /a/foo.ko)"], ["/a/foo.ko"]),
        (["sh", "-c", "exec insmod /a/foo.ko fail=19"], ["/a/foo.ko"]),
        (["sh", "-c", "if ! insmod /a/foo.ko; then modprobe dummy; fi"], ["/a/foo.ko", "/lib/modules/6.1/dummy.ko"]),
        (["sh", "-c", "sh -c 'insmod /a/foo.ko'"], ["/a/foo.ko"]),
        (["modprobe", "dummy"], ["/lib/modules/6.1/dummy.ko"]),
        (["modprobe", "btrfs"], ["/m/xor.ko", "/m/raid6_pq.ko.xz", "/m/btrfs.ko"]),
        (["modprobe", "-v", "dummy", "numdummies=2"], ["/lib/modules/6.1/dummy.ko"]),
        (["modprobe", "-r", "dummy"], []),
        (["modprobe", "--remove", "dummy"], []),
        (["modprobe", "nothing"], []),
        (["insmod"], []),
        (["sudo"], []),
        (["sh", "script.sh"], []),
        (["sh", "-c", "insmod 'open"], []),
        (["sh", "-c"], []),
        (["rmmod", "foo.ko"], []),
        (["cat", "insmod", "foo.ko"], []),
    ],
    ids=" ".join,
)
def test_files(line: list[str], files: list[str]) -> None:
    assert module_files(line, cwd="/here", show_depends=show_depends) == [Path(f) for f in files]


def test_nesting_has_an_end() -> None:
    assert module_files(["env"] * 1000 + ["insmod", "/a.ko"], show_depends=show_depends) in ([], [Path("/a.ko")])


def test_an_unreadable_file_of_the_command_is_said_and_one_of_the_user_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.ko"
    bad.write_text("no module")
    modules, notes = find_loads(Command("/sbin/insmod", ("insmod", str(bad)), {}))
    assert modules == ()
    assert len(notes) == 1
    assert notes[0].startswith(f"not looked into: {bad}: not a kernel module")
    with pytest.raises(CaptureError, match=r"^--module .*bad\.ko: not a kernel module"):
        find_loads(None, named=[str(bad)])

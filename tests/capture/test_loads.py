"""Which modules a command line loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kfgraph.capture import loads
from kfgraph.capture.child import Command
from kfgraph.capture.loads import Loads, find_loads, modprobe_depends, module_files
from kfgraph.errors import CaptureError, InputError
from kfgraph.kernel.module import Module
from kfgraph.model.companion import ModuleImage

DEPENDS = {
    ("dummy",): "insmod /lib/modules/6.1/dummy.ko \n",
    ("btrfs",): "insmod /m/xor.ko\ninsmod /m/raid6_pq.ko.xz\ninsmod /m/btrfs.ko \nbuiltin crc32c\n",
    ("-v", "dummy", "numdummies=2"): "insmod /lib/modules/6.1/dummy.ko numdummies=2\n",
}


def show_depends(words: Sequence[str]) -> str:
    return DEPENDS.get(tuple(words), "")


_SUB = ["/here/sub/foo.ko", "/x/a.ko", "/here/sub/b.ko"]
_HOME = ["/root/foo.ko", "/root/bar.ko", "/root/mods/foo.ko"]


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
        (["modprobe", "nothing"], ["?"]),
        (["insmod"], []),
        (["sudo"], []),
        (["sh", "script.sh"], []),
        (["sh", "-c", "insmod 'open"], []),
        (["sh", "-c"], []),
        (["rmmod", "foo.ko"], []),
        (["cat", "insmod", "foo.ko"], []),
        # Directories.
        (["sh", "-c", "cd /dir && insmod foo.ko"], ["/dir/foo.ko"]),
        (["sh", "-c", "cd sub; insmod foo.ko; (cd /x; insmod a.ko); insmod b.ko"], _SUB),
        (["sh", "-c", "cd; insmod foo.ko; cd ~/mods; insmod ~/bar.ko; insmod foo.ko"], _HOME),
        (["sh", "-c", 'cd "$DIR"; insmod foo.ko; insmod /a/foo.ko'], ["?", "/a/foo.ko"]),
        (["sh", "-c", "cd -- '/a b' || exit 1; insmod foo.ko"], ["/a b/foo.ko"]),
        (["env", "-C", "/dir", "insmod", "foo.ko"], ["/dir/foo.ko"]),
        (["env", "--chdir", "/dir", "A=b", "insmod", "foo.ko"], ["/dir/foo.ko"]),
        (["env", "--chdir=/dir", "insmod", "foo.ko"], ["/dir/foo.ko"]),
        (["env", "-iC/dir", "sh", "-c", "insmod foo.ko"], ["/dir/foo.ko"]),
        (["sudo", "-D", "dir", "insmod", "foo.ko"], ["/here/dir/foo.ko"]),
        # Options that take a word.
        (["env", "-S", "insmod /a/foo.ko fail=19"], ["/a/foo.ko"]),
        (["env", "-S", "-C /dir insmod", "foo.ko"], ["/dir/foo.ko"]),
        (["env", "--split-string=insmod /a/foo.ko"], ["/a/foo.ko"]),
        (["env", "-S", "insmod 'open"], []),
        (["bash", "-o", "pipefail", "-c", "insmod /a/foo.ko"], ["/a/foo.ko"]),
        (["bash", "-euo", "pipefail", "-c", "insmod /a/foo.ko"], ["/a/foo.ko"]),
        (["bash", "-ec", "-x", "insmod /a/foo.ko"], ["/a/foo.ko"]),
        (["bash", "--rcfile", "x", "+o", "posix", "-c", "insmod /a/foo.ko"], ["/a/foo.ko"]),
        (["timeout", "--signal", "KILL", "5", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["timeout", "--sig", "KILL", "-k5", "5", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["timeout", "--foreground", "5", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["sudo", "--user", "root", "--login", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        (["nice", "--adjustment", "5", "insmod", "/a/foo.ko"], ["/a/foo.ko"]),
        # Scripts of several lines.
        (["sh", "-c", "set -e # it's off\n# don't: insmod /no.ko\ninsmod \\\n /a/foo.ko # x\n"], ["/a/foo.ko"]),
        (["sh", "-c", "insmod /a/foo#1.ko 2>&1 | tee >log; echo a\\;insmod /b.ko"], ["/a/foo#1.ko"]),
        (["sh", "-c", ">/dev/null 2>&1 insmod /a/foo.ko &>x"], ["/a/foo.ko"]),
        (["sh", "-c", "cat <<EOF\ninsmod /no.ko\nEOF\ninsmod /a/foo.ko"], ["/a/foo.ko"]),
        (["sh", "-c", 'out=$(insmod /a/foo.ko); insmod "/b \\"c\\".ko"; echo "it\'s"'], ["/a/foo.ko", '/b "c".ko']),
        (["sh", "-c", "insmod $1", "sh", "foo.ko"], ["?"]),
        (["modprobe", "-n", "dummy"], []),
        (["modprobe", "--show-depends", "dummy"], []),
    ],
    ids=" ".join,
)
def test_files(line: list[str], files: list[str]) -> None:
    found = module_files(line, cwd="/here", home="/root", show_depends=show_depends)
    assert [str(load.path or "?") for load in found] == files
    assert all(bool(load.why) == (load.path is None) for load in found)


def test_what_is_asked_for_and_what_that_needs() -> None:
    def asked(*line: str) -> list[str]:
        return [str(load.path) for load in module_files(line, show_depends=show_depends) if load.asked]

    assert asked("modprobe", "btrfs") == ["/m/btrfs.ko"]
    assert asked("sh", "-c", "modprobe btrfs; insmod /m/xor.ko; insmod /a.ko") == [
        "/m/xor.ko",
        "/m/btrfs.ko",
        "/a.ko",
    ]


def test_nesting_has_an_end() -> None:
    assert len(module_files(["env"] * 1000 + ["insmod", "/a.ko"], show_depends=show_depends)) < 2


def test_modules_by_what_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def module(path: Path) -> Module:
        if path.name == "raid6_pq.ko.xz":
            raise InputError(f"{path}: No such file or directory")
        return Module(ModuleImage(path.stem, str(path), "", "6.1", ()), (), frozenset())

    monkeypatch.setattr(loads, "read_module", module)
    script = "modprobe btrfs && modprobe nothing; insmod /a/foo.ko"
    found = find_loads(Command("/bin/sh", ("sh", "-c", script), {}), show_depends=show_depends)
    assert [m.image.name for m in found.asked] == ["btrfs", "foo"]
    assert [m.image.name for m in found.needed] == ["xor"]
    assert [text.partition(": not looked into")[0] for text in found.unread] == ["modprobe btrfs", "modprobe nothing"]
    # To name a file that is not there would not help.
    assert found.unread[0].endswith("/m/raid6_pq.ko.xz: No such file or directory")
    assert found.unread[1].endswith("(--module FILE names it)")
    # modprobe is asked where its command is to run, and nowhere else.
    assert find_loads(Command("/bin/modprobe", ("modprobe", "btrfs"), {}), show_depends=lambda _: None) == Loads()


def test_an_unreadable_file_of_the_command_is_said_and_one_of_the_user_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.ko"
    bad.write_text("no module")
    found = find_loads(Command("/sbin/insmod", ("insmod", str(bad)), {}))
    assert found == Loads(unread=found.unread)
    assert len(found.unread) == 1
    assert found.unread[0].startswith(f"insmod {bad}: not looked into, so its functions have no")
    assert f": {bad}: not a kernel module" in found.unread[0]
    with pytest.raises(CaptureError, match=r"^--module .*bad\.ko: not a kernel module"):
        find_loads(None, named=[str(bad)])


def test_modprobe_is_found_where_path_lacks_sbin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kfgraph.capture.child.SBIN", (str(tmp_path),))
    (tmp_path / "modprobe").write_text('#!/bin/sh\necho "insmod /m/foo.ko $*"\n')
    (tmp_path / "modprobe").chmod(0o755)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert modprobe_depends(["foo", "x=1"]) == "insmod /m/foo.ko --show-depends foo x=1\n"

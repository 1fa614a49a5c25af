"""The guest itself: status, output, files, signals; one boot."""

from __future__ import annotations

from pathlib import Path

from guest.harness import REPOSITORY, run_script
from kfgraph.kernel.images import KernelImage

SCRIPT = """
uname -r; id -u; pwd; cat given; echo to-stderr >&2
insmod foo.ko fail=19; echo "insmod $?"
insmod foo.ko; echo "insmod $?"; test -d /sys/module/foo; echo "loaded $?"
touch "$REPOSITORY/harm" 2>/dev/null
echo back > result
exit 7
"""


def test_a_script_runs_and_the_host_is_left_alone(guest_image: KernelImage, foo_ko: Path, tmp_path: Path) -> None:
    run = run_script(SCRIPT, tmp_path, files={"foo.ko": foo_ko, "given": "given text\n"}, image=guest_image)
    assert run.result.end == "done", str(run)
    assert run.result.status == 7
    assert run.stdout.splitlines() == [
        guest_image.release,
        "0",
        "/run/kfgraph/work",
        "given text",
        "insmod 1",
        "insmod 0",
        "loaded 0",
    ]
    assert "to-stderr" in run.stderr
    assert "insmod: ERROR: could not insert module foo.ko: No such device" in run.stderr
    assert not (REPOSITORY / "harm").exists()
    assert (run.share / "result").read_text() == "back\n"
    assert run.result.trouble == ()
    assert run.result.boot_s is not None and 0 < run.result.boot_s < run.result.seconds

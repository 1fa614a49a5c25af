"""Stands in for vng: runs the real agent on the shared folder here, or goes wrong as $FAKE_GUEST says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

PANIC = """\
[    0.000000] Linux version 6.1.0-fake
[   12.000000] BUG: unable to handle page fault for address: 0000000000000010
[   12.100000] RIP: 0010:widget_init+0x20/0x1000 [widget]
[   12.200000] Kernel panic - not syncing: Fatal exception
"""


def main() -> None:
    (share,) = [Path(a.partition("=")[2].partition("=")[2]) for a in sys.argv if a.startswith("--rwdir=")]
    (share.parent / "argv").write_text("\n".join(sys.argv))
    mode = os.environ.get("FAKE_GUEST", "ok")
    slow = "--disable-kvm" in sys.argv
    if mode == "silent-kvm" and not slow:
        time.sleep(60)
    if mode == "broken-kvm" and not slow:
        sys.exit("qemu-system: error: failed to set MSR")
    print("[    0.000000] Linux version 6.1.0-fake\r\n\x1b[2J[    1.0] Run /init", flush=True)
    if mode == "noboot":
        sys.exit(1)
    if mode == "hang-booting":
        time.sleep(60)
    while mode == "watched" and not (share.parent / "seen-booting").exists():
        time.sleep(0.01)
    if mode == "panic":
        (share / "stage").write_text("running")
        print(PANIC, flush=True)
        sys.exit(0)
    if mode == "links":
        # A guest whose root is no friend: links out of the folder where files are expected.
        secret = share.parent.parent / "secret"
        for name in ("stdout", "status", "alive", "recording"):
            (share / name).unlink(missing_ok=True)
            (share / name).symlink_to(secret)
        os.mkfifo(share / "stderr")
        time.sleep(2.5)
        sys.exit(0)
    agent = Path(__file__).parents[2] / "src" / "kfgraph" / "capture" / "guest" / "agent.py"
    subprocess.run([sys.executable, "-I", "-S", str(agent), str(share)], check=True)
    if mode == "complain":
        print("[   20.000000] Out of memory: Killed process 99 (hog)", flush=True)


main()

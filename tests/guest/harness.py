"""Boots a real guest for the end-to-end tests: one bash script, as root, in a distribution kernel.

    run = run_script('insmod foo.ko; echo "status $?"; cat /sys/kernel/tracing/current_tracer', tmp_path)
    assert run.stdout == ...

Inside: the working directory is shared, so what the script writes there is in ``run.share`` afterwards
(and ``files`` are there at the start); ``$PYTHON`` is this Python, which can import kfgraph; ``kfgraph`` is
in PATH. A boot costs about 12 s under emulation: put many cases into one script.
"""

from __future__ import annotations

import compileall
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kfgraph.capture.guest import machine, virtme
from kfgraph.errors import MachineError
from kfgraph.kernel.images import KernelImage

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """One boot: ``share`` is the folder that the script ran in."""

    result: virtme.GuestResult
    stdout: str
    stderr: str
    share: Path

    @property
    def finished(self) -> bool:
        """Whether the script ran to its end and returned 0."""
        return (self.result.end, self.result.status) == ("done", 0)

    @property
    def good(self) -> bool:
        """Finished, and the guest had no trouble on the way."""
        return self.finished and not self.result.trouble

    def __str__(self) -> str:
        tail = "\n".join(self.result.console[-30:])
        return f"{self.result.end} status={self.result.status}\n{self.stdout}\n{self.stderr}\n-- console\n{tail}"


def why_not() -> str:
    """Why no guest can be booted here; "" if one can."""
    try:
        machine.find_machine()
        machine.choose_image()
    except MachineError as problem:
        return f"no guest here: {problem.message} ({problem.hint})"
    return ""


def run_script(
    script: str,
    folder: Path,
    *,
    files: Mapping[str, str | bytes | Path] | None = None,
    image: KernelImage | None = None,
    timeout_s: float = 300.0,
) -> Run:
    """Boot, run ``script`` with bash, and wait until the guest is gone."""
    work = folder / "share" / "work"
    for name, content in (files or {}).items():
        target = folder / "files" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copy(content, target)
        else:
            target.write_bytes(content.encode() if isinstance(content, str) else content)
    (folder / "files").mkdir(exist_ok=True)
    (folder / "files" / "script.sh").write_text(script)
    # Compiled here, where it takes a second; in the guest each start would compile again.
    compileall.compile_dir(REPOSITORY / "src", quiet=1)
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PYTHON": sys.executable,
        "PYTHONDONTWRITEBYTECODE": "1",
        "REPOSITORY": str(REPOSITORY),
    }
    start = f"cp -a '{folder}/files' {virtme.SHARE}/work && cd {virtme.SHARE}/work && exec bash script.sh"
    result = virtme.boot(
        ["bash", "-c", start], image or machine.choose_image(), folder, cwd=Path("/"), env=env, timeout_s=timeout_s
    )
    texts = [
        (folder / "share" / name).read_text(errors="replace") if (folder / "share" / name).exists() else ""
        for name in ("stdout", "stderr")
    ]
    return Run(result=result, stdout=texts[0], stderr=texts[1], share=work)


def in_memory(*, packages: bool = False) -> str:
    """Lines of bash after which Python's library and kfgraph lie in the guest's memory, with what kfgraph imports too.

    In the root file system, which the guest shares with its host, each look at a file takes 4 ms.
    """
    folders = [sysconfig.get_path("stdlib"), str(REPOSITORY / "src")]
    left_out = ["test", "tests", "site-packages", "idlelib", "lib2to3", "config-*"]
    if packages:
        folders.append(sysconfig.get_path("purelib"))
        left_out += ["mypy*", "*mypyc*", "Cython", "pip", "pandas", "hypothesis", "setuptools"]
    tar = shlex.join(["tar", *(f"--exclude={name}" for name in left_out), "-cf", "-"])
    lines = []
    for folder in folders:
        there, here = shlex.quote(f"/tmp/memory{folder}"), shlex.quote(folder)
        lines.append(f"mkdir -p {there} && {tar} -C {here} . | tar -C {there} -xf -")
    lines += [shlex.join(["mount", "--bind", f"/tmp/memory{folder}", folder]) for folder in folders]
    return "\n".join(lines) + "\n"


def headers_of(image: KernelImage) -> Path | None:
    """Where modules are built for this kernel; None if its headers are not there."""
    build = image.modules / "build" if image.modules else None
    return build if build is not None and (build / "Makefile").exists() else None


def build_foo(folder: Path, image: KernelImage) -> Path:
    """examples/foo built for ``image``; its headers must be there.

    Raises:
        RuntimeError: the build failed; the message is its output.
    """
    argv = ["make", "-C", str(REPOSITORY / "examples" / "foo"), f"KVER={image.release}", f"OUT={folder}"]
    argv.append(f"KDIR={headers_of(image)}")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return folder / "foo.ko"

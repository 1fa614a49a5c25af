"""The corpus recorded in a guest of this machine, cut, and scored: one command for one kernel.

    python tests/why/record.py OUT [--kernel IMAGE] [--only NAME,NAME] [--each 5] [--no-score]
    python tests/why/record.py OUT --everyday [--again] [--kernel IMAGE] [--only NAME,NAME]
    python tests/why/record.py OUT --passing [--kernel IMAGE] [--each 14]

The first builds the modules of tests/why/modules for the kernel (its headers must be there), loads each failing and not
(the twin), ``--each`` modules a recording, all in one boot; before that it shows what ``kfgraph trace insmod`` says of
one. OUT gets KERNEL/NAME.dat and NAME.twin.dat, cut (builder.cut), and OUT/whole what they were cut out of. What is
in OUT/whole already is not recorded again.

The second records the commands of everyday/everyday.sh, each alone; with ``--again`` by ``kfgraph why --again``: OUT
gets the recording of the last run, and what was printed. They are left whole.

The third records the commands of everyday/passing.sh, which succeed, ``--each`` in a recording: OUT gets NN.dat and
NN.runs, with which score_commands.py judges them and cut_commands.py cuts them apart.

The scores (benchmarks/blame.py) are printed, then what is not right. Ends with 1 where something could not be recorded.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parents[1] / "benchmarks")]

import blame  # noqa: E402 (it lies with the benchmarks)
from cut_loads import cut_loads  # noqa: E402
from score_commands import told_of  # noqa: E402

from guest.harness import headers_of, in_memory, run_script  # noqa: E402
from kfgraph.capture.guest import machine as machines  # noqa: E402
from kfgraph.kernel.images import KernelImage  # noqa: E402

MODULES = HERE / "modules"
SHOWN = "deep"
"""Of this one the answer is shown as a user sees it."""

LOADS = r"""
share=$PWD; T=/sys/kernel/tracing
mkdir /tmp/work && cd /tmp/work # the shared folder is slow
cp $share/*.ko .
[ ! -e /sys/kernel/btf/vmlinux ] || cp /sys/kernel/btf/vmlinux $share/btf
# It walks all types for each load.
grep -qx btf_module_notify $T/available_filter_functions && exclude="--exclude btf_module_notify"
if [ -e ./$SHOWN.ko ]; then
    kfgraph trace -o shown.dat insmod ./$SHOWN.ko fail=1 > $share/shown 2>&1
    kfgraph why shown.dat --text >> $share/shown 2>&1
fi
for batch in $share/*.batch; do
    name=$(basename $batch .batch)
    rm -f runs
    modules=$(sed -n 's/^insmod \.\/\(\S*\) .*/--module \1/p' $batch | sort -u)
    begin=$SECONDS
    kfgraph trace -q -f --root __x64_sys_finit_module $exclude $modules -o $name.dat -- bash $batch > $name.log 2>&1
    echo "$name $? after $((SECONDS - begin)) s"
    cp runs $share/$name.runs; cp $name.dat $name.dat.kfgraph.json $name.log $share/
    rm -f $name.*
done
exit 0
"""

EVERYDAY = r"""
share=$PWD
mkdir /tmp/records /tmp/work; cp $share/everyday $share/needs $share/*.ko /tmp; cd /tmp/work
EVERYDAY=/tmp/everyday NEEDS=/tmp/needs
KO=/tmp/deep.ko UNRESOLVED=/tmp/unresolved.ko OTHER=/tmp/other.ko GATE=/tmp/gate.ko
run() {
    local name=$1 begin=$SECONDS; shift
    if [ -n "$ONLY" ] && [[ ",$ONLY," != *,$name,* ]]; then "$@" > /dev/null 2>&1 < /dev/null; return; fi
    if [ -n "$AGAIN" ]; then
        kfgraph why --again --text /tmp/records/$name.dat -- "$@" > /tmp/records/$name.txt 2>&1 < /dev/null
    else
        kfgraph trace -o /tmp/records/$name.dat "$@" > /tmp/records/$name.txt 2>&1 < /dev/null
    fi
    echo "$name $? after $((SECONDS - begin)) s"
    cp /tmp/records/$name.* $share/; rm -f /tmp/records/$name.*
}
ip link set lo up 2> /dev/null
. $share/everyday.sh
exit 0
"""

PASSING = r"""
share=$PWD
export KO=/tmp/deep.ko RUNS=/tmp/runs
mkdir -p /tmp/passing/mnt; cp $share/deep.ko /tmp; cd /tmp/passing
ip link set lo up 2> /dev/null
cat > /tmp/run.sh <<'END'
run() {
    local name=$1; shift
    command -v "$1" > /dev/null || return
    (echo "$name $BASHPID" >> $RUNS; exec "$@") > /dev/null 2>&1 < /dev/null
    echo "$name = $?" >> $RUNS
}
END
grep '^run ' $share/passing.sh | split -l $EACH -d - /tmp/batch.
for batch in /tmp/batch.*; do
    name=${batch##*.} begin=$SECONDS
    cat /tmp/run.sh $batch > /tmp/one.sh
    rm -f $RUNS
    kfgraph trace -q -f --buffer 400M -o /tmp/$name.dat -- bash /tmp/one.sh > /tmp/$name.txt 2>&1
    echo "$name $? after $((SECONDS - begin)) s"
    cp $RUNS $share/$name.runs; cp /tmp/$name.* $share/; rm -f /tmp/$name.*
done
exit 0
"""


def build(folder: Path, image: KernelImage, sources: Sequence[Path], *, undefined: bool = False) -> list[Path]:
    """The modules of ``sources``, built for ``image``; ``undefined`` symbols may be."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*sources, MODULES / "corpus.h", MODULES / "Makefile"):
        shutil.copy(file, folder)
    argv = ["make", "-k", "-s", "-C", str(folder), f"KDIR={headers_of(image)}"]
    done = subprocess.run(
        [*argv, *(["KBUILD_MODPOST_WARN=1"] if undefined else [])], capture_output=True, text=True, check=False
    )
    built = sorted(folder.glob("*.ko"))
    missing = {file.stem for file in sources} - {file.stem for file in built}
    if missing:
        print(f"not built: {', '.join(sorted(missing))}\n{done.stdout}{done.stderr}"[-4000:], file=sys.stderr)
    return built


def build_needs(program: Path) -> Path:
    """A program that needs a library which is not there when it is started."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "libkfgraph-nowhere.so"
        compiler = ["gcc", "-x", "c", "-"]
        text = "int kfgraph_nowhere(void) { return 0; }"
        subprocess.run([*compiler, "-shared", "-fPIC", "-o", library], input=text, text=True, check=True)
        text = "int kfgraph_nowhere(void); int main(void) { return kfgraph_nowhere(); }"
        linked = ["-L", folder, "-lkfgraph-nowhere"]
        subprocess.run([*compiler, "-o", program, *linked], input=text, text=True, check=True)
    return program


def _script(text: str, **variables: str) -> str:
    lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([*lines, text])


def parameters(name: str) -> tuple[str, str]:
    """With what the module fails, and with what it does not."""
    truth = json.loads(re.findall(r"truth: (\{.*?\})", (MODULES / f"{name}.c").read_text())[0])
    return truth.get("params", "fail=1"), truth.get("twin", "fail=0")


def batch(modules: Sequence[Path]) -> str:
    """A script that loads each module failing and not, and notes in ``runs`` how each load ended."""
    lines = []
    for module in modules:
        name = module.stem
        for run, words in zip((name, f"{name}.twin"), parameters(name), strict=True):
            lines += [f"insmod ./{name}.ko {words}; echo {run} $? >> runs", f"rmmod {name} 2> /dev/null"]
    return "\n".join(lines) + "\n"


def record_loads(out: Path, image: KernelImage, *, only: set[str], each: int, limit_s: float) -> list[str]:
    """Record, and cut into OUT/KERNEL; what went wrong."""
    sources = sorted(MODULES.glob("*.c"))
    if only:
        sources = [file for file in sources if file.stem in only]
    built = build(out / "ko", image, sources)
    parts = [built[i : i + each] for i in range(0, len(built), each)]
    whole = out / "whole"
    whole.mkdir(parents=True, exist_ok=True)
    files: dict[str, str | bytes | Path] = {file.name: file for file in built}
    missing = [n for n in range(len(parts)) if not (whole / f"{n:02}.dat").exists()]
    problems = []
    if missing:
        files |= {f"{n:02}.batch": batch(parts[n]) for n in missing}
        with tempfile.TemporaryDirectory() as folder:
            run = run_script(_script(LOADS, SHOWN=SHOWN), Path(folder), files=files, image=image, timeout_s=limit_s)
            if not run.good:
                problems.append(str(run))
            print(run.stdout)
            for file in run.share.iterdir():
                if file.suffix in (".dat", ".json", ".runs", ".log") or file.name in ("btf", "shown"):
                    shutil.copy(file, whole)
    if (whole / "shown").exists():
        print((whole / "shown").read_text())
    btf = whole / "btf" if (whole / "btf").exists() else None
    target = out / image.release
    for n in range(len(parts)):
        recording, runs = whole / f"{n:02}.dat", whole / f"{n:02}.runs"
        if not recording.exists():
            problems.append(f"{recording} is missing")
        elif not all((target / f"{line.split()[0]}.dat").exists() for line in runs.read_text().splitlines()):
            problems += cut_loads(recording, runs, target, ko=out / "ko", btf=btf)
    return problems


def record_everyday(out: Path, image: KernelImage, *, only: set[str], again: bool, limit_s: float) -> list[str]:
    """Record the everyday commands, each alone, into OUT; what went wrong."""
    folder = HERE / "everyday"
    (ko, gate) = build(out / "ko", image, [MODULES / "deep.c", folder / "gate.c"])
    (unresolved,) = build(out / "ko-unresolved", image, [folder / "unresolved.c"], undefined=True)
    subprocess.run(["gcc", "-static", "-w", "-o", out / "everyday", folder / "everyday.c"], check=True)
    needs = build_needs(out / "needs")
    # One for another kernel: what it says of itself behind the release, for which the versions of symbols may stand.
    other = ko.read_bytes().replace(b" mod_unload ", b" mod_reload ")
    names = ("everyday.sh", "passing.sh")
    files: dict[str, str | bytes | Path] = {name: folder / name for name in names}
    files |= {"deep.ko": ko, "unresolved.ko": unresolved, "other.ko": other, "gate.ko": gate}
    files |= {"everyday": out / "everyday", "needs": needs}
    with tempfile.TemporaryDirectory() as temporary:
        script = in_memory(packages=True) + _script(EVERYDAY, ONLY=",".join(sorted(only)), AGAIN="1" if again else "")
        run = run_script(script, Path(temporary), files=files, image=image, timeout_s=limit_s)
        print(run.stdout)
        for file in run.share.iterdir():
            if file.suffix in (".dat", ".json", ".txt"):
                shutil.copy(file, out)
        return [] if run.finished else [str(run)]


def record_passing(out: Path, image: KernelImage, *, each: int, limit_s: float) -> list[str]:
    """Record the commands that succeed, ``each`` in a recording, into OUT; what went wrong."""
    (ko,) = build(out / "ko", image, [MODULES / "deep.c"])
    files: dict[str, str | bytes | Path] = {"deep.ko": ko, "passing.sh": HERE / "everyday" / "passing.sh"}
    with tempfile.TemporaryDirectory() as temporary:
        script = in_memory(packages=True) + _script(PASSING, EACH=str(each))
        run = run_script(script, Path(temporary), files=files, image=image, timeout_s=limit_s)
        print(run.stdout)
        for file in run.share.iterdir():
            if file.suffix in (".dat", ".json", ".txt", ".runs"):
                shutil.copy(file, out)
        return [] if run.finished else [str(run)]


def print_scores(scored: Sequence[blame.Scored], title: str) -> None:
    """Counts of the verdicts, then what is neither right nor an honest bound."""
    counts = Counter(one.verdict for one in scored)
    print(f"{title}: " + ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common()) + f" (of {len(scored)})")
    for one in scored:
        if one.verdict not in ("exact", "bound"):
            print(f"    {one.name:22} {one.verdict:15} {one.said}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kernel", default="", help="an image or a release (default: the newest that can)")
    parser.add_argument("--only", default="", help="these modules or commands only")
    parser.add_argument("--each", type=int, help="modules a recording (5), or commands (14)")
    parser.add_argument("--everyday", action="store_true")
    parser.add_argument("--passing", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--limit", type=float, default=5400.0, help="seconds for the guest")
    given = parser.parse_args()
    image = machines.choose_image(given.kernel)
    if headers_of(image) is None:
        print(f"no headers for {image.release}", file=sys.stderr)
        return 3
    given.out.mkdir(parents=True, exist_ok=True)
    only = set(filter(None, given.only.split(",")))
    if given.everyday:
        problems = record_everyday(given.out, image, only=only, again=given.again, limit_s=given.limit)
        all_scored = [blame.score_everyday(file) for file in sorted(given.out.glob("*.dat"))]
        truths = json.loads(blame.TRUTHS.read_text())
        print_scores([one for one in all_scored if one.name in truths], "everyday failures")
        print_scores([one for one in all_scored if one.name not in truths], "everyday commands that succeed")
    elif given.passing:
        problems = record_passing(given.out, image, each=given.each or 14, limit_s=given.limit)
        problems += told_of(sorted(given.out.glob("??.dat")))
    else:
        problems = record_loads(given.out, image, only=only, each=given.each or 5, limit_s=given.limit)
        folder = given.out / image.release
        all_scored = [blame.score(file, ko=given.out / "ko") for file in sorted(folder.glob("*.dat"))]
        print_scores([one for one in all_scored if "." not in one.name], f"{image.release}: failing modules")
        print_scores([one for one in all_scored if "." in one.name], f"{image.release}: the same when they load")
    print("\n".join(problems), file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())

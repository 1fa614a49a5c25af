"""Stands in for trace-cmd: sets the tracer as it does, waits for SIGINT, writes a trace.

FAKE_TRACEFS: the tracing directory. FAKE_TRACE: what to write as the recording. FAKE_MODE: how to
misbehave. FAKE_LOG: where to note the arguments.
"""

import json
import os
import pathlib
import shutil
import signal
import sys
import time

if sys.argv[1:] == ["--version"]:
    print(f"\ntrace-cmd version {os.environ.get('FAKE_VERSION', '3.1.6')} ()\n")
    sys.exit(0)
ROOT = pathlib.Path(os.environ["FAKE_TRACEFS"])
MODE = os.environ.get("FAKE_MODE", "")
args = sys.argv[1:]
if log := os.environ.get("FAKE_LOG"):
    with pathlib.Path(log).open("a") as notes:
        notes.write(json.dumps(args) + "\n")
output = pathlib.Path(args[args.index("-o") + 1])

if args[0] == "restore":
    if MODE.endswith("full"):
        sys.exit(28)
    assert [pathlib.Path(part).read_bytes() for part in args[3:]] == [b"events"]
    shutil.copyfile(os.environ["FAKE_TRACE"], output)
    sys.exit(0)

if MODE == "refuses":
    print("  plugin 'function_graph'")
    print("trace-cmd: Device or resource busy", file=sys.stderr)
    sys.exit(1)

if MODE == "usage":
    print("record: unrecognized option '--nosuch'\n\ntrace-cmd version 3.1.6 ()\n\nusage:", file=sys.stderr)
    print(" trace-cmd record [-v][-e event [-f filter]][-p plugin]\n          -r number of retries", file=sys.stderr)
    sys.exit(1)
if MODE == "killed at start":
    os.kill(os.getpid(), signal.SIGKILL)

stopped = False


def stop(*_):
    global stopped
    stopped = True


signal.signal(signal.SIGINT, stop)
readers = []
if MODE.startswith("reader"):  # one for each CPU, as it has; else none, for the tests' sake
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])  # it waits for them from their first moment on
    for _ in (ROOT / "per_cpu").iterdir():
        if (pid := os.fork()) == 0:
            signal.alarm(60)
            signal.sigwait([signal.SIGUSR1])
            os._exit(0)
        readers.append(pid)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
if MODE == "slow":
    time.sleep(0.8)
pids = args[args.index("-P") + 1].split(",")
(ROOT / "tracing_on").write_text("0\n")
(ROOT / "current_tracer").write_text("function_graph\n")
(ROOT / "options/function-fork").write_text("1\n")
for cpu in (ROOT / "per_cpu").iterdir():
    (cpu / "buffer_size_kb").write_text(args[args.index("-b") + 1] + "\n")
(ROOT / "set_ftrace_pid").write_text("\n".join(pids) + "\n")
(ROOT / "tracing_on").write_text("1\n")
output.with_name("trace.dat.cpu0").write_bytes(b"" if MODE == "readers hollow" else b"events")
while not stopped:
    time.sleep(0.01)
    if MODE == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
for pid in readers:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
if MODE == "late":
    time.sleep(1)
if MODE in ("fails", "full"):
    print("trace-cmd: No space left on device", file=sys.stderr)
    print("  Error creating output file", file=sys.stderr)
    sys.exit(28)
if MODE == "slow":
    time.sleep(0.8)
if MODE == "stubborn":
    time.sleep(60)
shutil.copyfile(os.environ["FAKE_TRACE"], output)
if "hollow" in MODE:
    # As 3.1.6 on a disk that has room for the head only: no data, and the parts are gone.
    output.write_bytes(output.read_bytes()[:60])
    print("libtracecmd: Invalid argument\n  did not match size of 0 to 921600", file=sys.stderr)
if MODE == "types":
    # As 3.4: when the file is begun and the counters are read, it looks at these two, and writes the types or does not.
    time.sleep(0.5)
    found = {name: (ROOT / name).read_text().split() for name in ("current_tracer", "set_ftrace_filter")}
    with pathlib.Path(log).open("a") as notes:
        notes.write(json.dumps(found) + "\n")
output.with_name("trace.dat.cpu0").unlink()
(ROOT / "current_tracer").write_text("nop\n")
(ROOT / "set_ftrace_pid").write_text("")

# What goes well. After recordings.sh.
cp $share/foo.ko .

# The main job: a module that loads, one that does not, the same without probes. Two of each, taking turns:
# what differs between two that are alike is not the probes' doing.
quiet fail sh -c 'exec insmod foo.ko fail=19'
quiet plain --no-returns insmod foo.ko fail=19
quiet fail2 insmod foo.ko fail=19
quiet plain2 --no-returns insmod foo.ko fail=19
quiet ok --root load_module insmod foo.ko
rmmod foo

# A module that knows its own times.
cp $share/clocked.ko .
quiet clocked --sched insmod clocked.ko
dmesg | sed -n 's/.*clocked: //p' > $share/clocked.told
rmmod clocked

# A running process, until Ctrl-C.
sh -c 'while :; do sleep 0.2; done' &
victim=$!
begin attach
# A background job of a script ignores SIGINT; a shell's own child at a prompt does not.
$PYTHON -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])' \
    kfgraph trace -q -f -o attach.dat $few -p $victim > attach.out 2> attach.err &
job=$!
recording
sleep 2
kill -INT $job
echo $victim > attach.pid
wait $job
end $?
kill $victim

# Options.
quiet pipe $few -f sh -c 'cat /etc/passwd | wc -l'
# From a tracer that somebody has set up already: it restricts nothing, and his filters, his threshold, his trigger and
# his probe are there afterwards.
echo 1000000 > $T/tracing_thresh
echo vfs_open > $T/set_ftrace_notrace
echo 'prev_pid > 5' > $T/events/sched/sched_switch/filter
echo 'vfs_fsync:traceoff:4' > $T/set_ftrace_filter
echo 'p:his/open do_sys_openat2' > $T/kprobe_events
quiet root --root vfs_open --max-depth 3 --syscalls --sched cat /etc/hostname
settings > root.settings
cp root.settings $share/
echo 0 > $T/tracing_thresh
echo > $T/set_ftrace_notrace
echo 0 > $T/events/sched/sched_switch/filter
echo '!vfs_fsync:traceoff:4' >> $T/set_ftrace_filter
echo > $T/kprobe_events
quiet only --only ':mod:foo' --min-duration 1us insmod foo.ko
rmmod foo
quiet user $few --user nobody --env COLOR=red --cwd / sh -c 'id -u; echo $COLOR; pwd'

# A command that is gone in a millisecond, over and over.
begin shorts
for i in $(seq $RUNS); do
    kfgraph trace -q $few --buffer 512K -o short$i.dat true > short$i.out 2> short$i.err < /dev/null
    echo $? > short$i.status
done
end 0
cp short[0-9]* $share/

# Modules that fail, each in its own way (tests/why/modules): FAILING has a line "NAME PARAMETERS" for each.
while read -r module parameters; do
    cp $share/$module.ko .
    begin $module
    kfgraph trace -o $module.dat insmod $module.ko $parameters > $module.out 2> $module.err < /dev/null
    end $?
    rmmod $module 2> /dev/null
done <<< "$FAILING"
exit 0

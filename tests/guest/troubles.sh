# What goes wrong, and what ends early. After recordings.sh.

# Ctrl-C in the middle of a command; it goes to the command first.
begin interrupt
$PYTHON -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])' \
    kfgraph trace -q -o interrupt.dat $few sh -c 'trap "echo asked; exit 9" INT; while :; do sleep 0.2; done' \
    > interrupt.out 2> interrupt.err &
job=$!
recording
sleep 1
kill -INT $job
wait $job
end $?

# SIGKILL of trace-cmd; two at once while it is at it.
begin killed
kfgraph trace -o killed.dat $few --trace-cmd-args '-B extra -e sched:sched_switch' sh -c 'while [ ! -e go ]; do ls /usr > /dev/null; sleep 0.3; done; exit 5' \
    > killed.out 2> killed.err &
job=$!
recording
kfgraph trace -q -o second.dat true 2> second.err
echo $? > $share/second.status
cp second.err $share/
kill -KILL $(pgrep -P $job -x trace-cmd) # the one that kfgraph started, not those that it started
sleep 1
touch go
wait $job
end $?

# SIGKILL of the process that reads a CPU's buffer: trace-cmd itself goes on and says nothing. A small buffer, so that
# something has been read by then.
begin reader
kfgraph trace -o reader.dat --buffer 128K --root vfs_open sh -c 'while [ ! -e go2 ]; do ls -la /etc > /dev/null; done; exit 6' \
    > reader.out 2> reader.err &
job=$!
recording
for i in $(seq 100); do [ -n "$(find .kfgraph-* -name 'trace.dat.cpu*' -size +0)" ] && break; sleep 0.3; done
kill -KILL $(pgrep -P $(pgrep -P $job -x trace-cmd) -x trace-cmd | head -1)
sleep 5
touch go2
wait $job
end $?

# SIGKILL of kfgraph; the next run clears what it left.
begin next
kfgraph trace -q -o lost.dat $few --min-duration 5us sleep 600 > /dev/null 2> next.killed &
job=$!
recording
kill -KILL $job
settings | diff before - > next.dirty
cp next.dirty $share/
pkill -x sleep
for i in $(seq 300); do pgrep -x -r R,S,D trace-cmd > /dev/null || break; sleep 0.2; done # a zombie is gone
kfgraph trace -q -o next.dat $few true > next.out 2> next.err
end $?

# Ends.
quiet signal $few sh -c 'kill -SEGV $$'
quiet false $few false
quiet large $few sh -c 'exit 200'
quiet missing no-such-command
quiet refused /etc/passwd
# A disk with too little room; then what the hint says, where there is more.
mkdir small
mount -t tmpfs -o size=2M tmpfs small
begin room
kfgraph trace -q -o small/rec.dat --root vfs_open ls -laR /etc /usr/share/doc > /dev/null 2> room.err # 2 MB and more
end $?
ls -A small > $share/room.files
(mkdir elsewhere && cd elsewhere && sh -c "$(sed -n 's/.*more room: //p' ../room.err)" > restore.out 2>&1; cp trace.dat $share/restored.dat)
umount small

# SIGKILL of both, one right after the other: what was recorded is saved by doctor --fix.
begin both
kfgraph trace -q -o gone.dat --buffer 128K --root vfs_open sh -c 'while [ ! -e stop ]; do ls -la /etc > /dev/null; done' \
    > /dev/null 2> both.killed &
job=$!
recording
for i in $(seq 100); do [ -s .kfgraph-*/trace.dat.cpu0 ] && break; sleep 0.3; done
kill -STOP $(pgrep -x trace-cmd)
kill -KILL $job
kill -KILL $(pgrep -x trace-cmd)
touch stop
kfgraph doctor --fix > both.out 2> both.err
end $?
cp "$(sed -n 's/.*incomplete, is in //p' both.err)" $share/both.dat

# Lost events, and the advice followed until none is lost.
echo "kfgraph trace -o loss.dat --buffer 16K --root vfs_open ls -laR /usr/lib/python3" > loss.line
for i in 1 2 3 4; do
    begin loss$i
    sh -c "$(cat loss.line)" > /dev/null 2> loss$i.err
    end $?
    grep -q "nothing lost" loss$i.err && break
    sed -n 's/.*against it: //p' loss$i.err | head -1 > loss.line
done
exit 0

# Comes before each script of recordings in a guest: many in one boot. Each case leaves NAME.status, NAME.out,
# NAME.err and what differs in the tracer afterwards in NAME.left; the test beside the script judges them.
T=/sys/kernel/tracing
share=$PWD
mkdir /tmp/native && cd /tmp/native # the shared folder is slow
few='--only vfs_* --only do_exit --only begin_new_exec' # quicker to switch on than all functions
echo 1408 > $T/buffer_size_kb # as a first recording leaves it; the kernel cannot go back

settings() {
    (cd $T && for f in current_tracer tracing_on tracing_thresh max_graph_depth trace_clock trace_options set_ftrace_pid \
        set_event_pid set_event set_ftrace_filter set_ftrace_notrace set_graph_function set_graph_notrace kprobe_events \
        buffer_size_kb buffer_percent saved_cmdlines_size tracing_cpumask options/funcgraph-* per_cpu/*/buffer_size_kb; do
        echo "$f: $(cat $f | tr '\n' ' ')"
    done; ls instances; grep -Hv '^none' events/*/*/filter)
}

begin() { name=$1; settings > before; }
end() { # the status
    echo "$name $1 after $SECONDS s"
    echo "$1" > $name.status
    settings | diff before - > $name.left
    cp $name.* $share/
}
quiet() { # NAME, then the words after `kfgraph trace`
    begin $1
    shift
    kfgraph trace -q -o $name.dat "$@" > $name.out 2> $name.err < /dev/null
    end $?
}
recording() { # wait until the tracer is on
    for i in $(seq 600); do
        [ "$(cat $T/tracing_on) $(cat $T/current_tracer)" = "1 function_graph" ] && return
        sleep 0.2
    done
    echo "never recorded" >&2
}

# Everyday failures, each one command: run NAME COMMAND... records it. In an empty folder of its own, as root.
# EVERYDAY is everyday.c, built static; KO a module for this kernel, OTHER one for another, UNRESOLVED one that needs a
# symbol which is nowhere, GATE gate.c; NEEDS a program that needs a library which is nowhere.
echo text > file; chmod 644 file
echo secret > secret; chmod 600 secret
echo garbage > garbage; chmod 755 garbage
mkdir full ro busy mnt dir; echo x > dir/inside
mount -t tmpfs -o size=64k none full
mount -t tmpfs -o ro none ro
mount -t tmpfs none busy
ln -s loop loop
long=$(printf 'n%.0s' $(seq 300))

run missing_file cat /nonexistent
run missing_folder cat /nonexistent/file
run forbidden_file $EVERYDAY forbidden_file secret
run folder_read cat dir
run file_as_folder cat file/inside
run symlink_loop cat loop
run name_too_long cat $long
run folder_exists mkdir dir
run nonempty_folder rmdir dir
run read_only mkdir ro/new
run full_tmpfs dd if=/dev/zero of=full/file bs=4096 count=64 status=none
run bad_option mount -t tmpfs -o badopt=1 none mnt
run unknown_filesystem mount -i -t kfgraphfs none mnt
(cd busy && exec sleep 1000) & sleeper=$!
sleep 1
run busy_unmount umount -i busy
kill $sleeper
run not_executable $EVERYDAY not_executable file
run bad_format $EVERYDAY bad_format garbage
run used_port $EVERYDAY used_port
run used_socket $EVERYDAY used_socket file
run nobody_listens $EVERYDAY nobody_listens file
run memory_limit $EVERYDAY memory_limit
run process_limit $EVERYDAY process_limit
run kill_forbidden $EVERYDAY kill_forbidden
run no_process $EVERYDAY no_process
run closed_pipe $EVERYDAY closed_pipe
run seccomp $EVERYDAY seccomp
run bad_fd $EVERYDAY bad_fd
run bad_address $EVERYDAY bad_address new
run other_device $EVERYDAY other_device file
run many_files $EVERYDAY many_files
run file_size_limit $EVERYDAY file_size_limit new2
run bad_seek $EVERYDAY bad_seek
run busy_text $EVERYDAY busy_text
run forbidden_chown $EVERYDAY forbidden_chown
run forbidden_chroot $EVERYDAY forbidden_chroot
run forbidden_name $EVERYDAY forbidden_name
run wrong_vermagic insmod $OTHER
run unresolved_symbol insmod $UNRESOLVED
insmod $KO
run loaded_already insmod $KO
run not_loaded rmmod kfgraph_nowhere
run not_a_terminal tty
run missing_library $NEEDS
insmod $GATE
level=/sys/kernel/kfgraph_gate/level
run store_refused sh -c "echo 9 > $level"
run store_taken sh -c "echo 1 > $level" # it succeeds, as do the others in this line
# Errors that the kernel's own fail_function makes, where it has that.
F=/sys/kernel/debug/fail_function
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
if [ -e $F/inject ]; then
    inject() { # FUNCTION VALUE
        echo $1 > $F/inject && printf %#x $2 > $F/$1/retval && echo 100 > $F/probability && echo -1 > $F/times && echo 0 > $F/verbose
    }
    inject gate_limit -5
    run store_injected sh -c "echo 1 > $level"
    echo > $F/inject
    run store_not_injected sh -c "echo 2 > $level"
    inject __x64_sys_sethostname -5
    run call_injected $EVERYDAY root_name
    echo > $F/inject
    run call_not_injected $EVERYDAY root_name
fi

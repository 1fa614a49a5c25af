# Everyday commands that succeed: nothing may be blamed. One a line: record.py makes batches of them.
run true true
run ls ls -l /
run cat cat /etc/passwd
run mkdir mkdir made
run rmdir rmdir made
run touch touch touched
run chmod chmod 600 touched
run mv mv touched moved
run cp cp moved copied
run ln ln -s moved link
run readlink readlink link
run rm rm copied
run stat stat moved
run wc wc /etc/passwd
run head head -1 /etc/passwd
run sort sort /etc/passwd
run grep grep root /etc/passwd
run id id
run uname uname -a
run date date
run hostname cat /proc/sys/kernel/hostname
run df df .
run du du .
run env env true
run dd dd if=/dev/zero of=zeros bs=4096 count=4 status=none
run md5sum md5sum moved
run find find .
run mktemp mktemp -p .
run seq seq 3
run mount mount -t tmpfs none mnt
run umount umount mnt
run insmod insmod $KO
run rmmod rmmod $KO
run sh sh -c 'test -e /nonexistent || true'
run search sh -c 'command -v ls'
run missing_is_fine rm -f /nonexistent
run mkdir_p mkdir -p /tmp
run sleep sleep 0
run printenv printenv PATH
run basename basename /a/b
run tar_create tar -cf made.tar moved link
run tar_list tar -tf made.tar
run tar_extract tar -xf made.tar -C mnt
run gzip gzip -kf moved
run gunzip gunzip -kf moved.gz
run xz xz -kf moved
run find_name find . -name 'no*' -type f
run find_exec find . -maxdepth 1 -type f -exec true '{}' ';'
run xargs sh -c 'echo a b | xargs echo'
run cut cut -d: -f1 /etc/passwd
run tr sh -c 'tr a b < /etc/passwd'
run sed sed -n 1p /etc/passwd
run awk awk 'NR == 1' /etc/passwd
run perl perl -e 'print -e "/nonexistent" ? 1 : 0, "\n"'
run python python3 -S -E -c 'print(1)'
run python_missing python3 -S -E -c 'import os; print(os.path.exists("/nonexistent"))'
run python_caught python3 -S -E -c $'try:\n    open("/nonexistent")\nexcept OSError as problem:\n    print(problem.errno)'
run bash bash -c 'echo $((1 + 1))'
run bash_missing bash -c 'cat /nonexistent || true'
run bash_if bash -c 'if [ -d /nonexistent ]; then echo y; else echo n; fi'
run bash_not bash -c '! test -e /nonexistent'
run bash_glob bash -c 'echo *.nothing'
run bash_redirect bash -c 'echo x > redirected && read line < redirected'
run bash_here bash -c 'cat <<< text'
run bash_background bash -c 'sleep 0.01 & wait'
run bash_jobs bash -c 'true & false & wait; true'
run bash_trap bash -c 'trap "echo t" USR1; kill -USR1 $$'
run bash_subshell bash -c '(exit 3); true'
run bash_substitution bash -c 'x=$(echo y); echo $x'
run pipe sh -c 'cat /etc/passwd | wc -l'
run pipe_three sh -c 'cat /etc/passwd | sort | head -1'
run closed_early sh -c 'seq 20000 | head -1'
run tee sh -c 'echo x | tee teed'
run and_or sh -c 'false || true'
run tail tail -1 /etc/passwd
run tac tac /etc/passwd
run nl nl /etc/passwd
run uniq uniq /etc/passwd
run diff_same diff /etc/passwd /etc/passwd
run cmp_same cmp /etc/passwd /etc/passwd
run expr expr 1 + 1
run test test -e /etc/passwd
run printf printf '%s\n' x
run echo /bin/echo x
run pwd /bin/pwd
run realpath realpath /etc/../etc/passwd
run realpath_missing realpath -m /nonexistent/x
run dirname dirname /a/b
run truncate truncate -s 4096 sized
run fallocate fallocate -l 4096 sized
run sync sync moved
run install install -m 600 moved installed
run link_hard ln -f moved hard
run symlink_dangling ln -sf /nonexistent dangling
run ls_dangling ls -l dangling
run ls_recursive ls -R /etc/apt
run cp_recursive cp -r mnt copied_tree
run rm_recursive rm -rf copied_tree
run rm_force rm -rf /nonexistent/x
run mkdir_deep mkdir -p deep/er/est
run rmdir_deep rmdir -p deep/er/est
run mkfifo mkfifo fifo
run mknod mknod null c 1 3
run chown chown 1:1 moved
run chgrp chgrp 2 moved
run touch_time touch -d 2020-01-01 moved
run timeout timeout 5 true
run timeout_fg timeout --foreground 5 true
run nice nice -n 5 true
run nohup nohup true
run setsid setsid -w true
run flock flock locked true
run stdbuf stdbuf -o0 true
run nproc nproc
run arch arch
run whoami whoami
run groups groups
run id_name id root
run getent getent passwd root
run who who
run uptime cat /proc/uptime
run tty_not sh -c 'test -t 0 || echo no'
run stty_not sh -c 'stty -a 2> /dev/null || true'
run lsmod lsmod
run modinfo modinfo $KO
run kmod_list kmod list
run modprobe_again sh -c 'modprobe -q kfgraph_nowhere || true'
run insmod_again insmod $KO
run rmmod_again rmmod $KO
run mount_list mount
run mount_bind mount --bind /proc mnt
run umount_bind umount mnt
run mount_ro mount -t tmpfs -o ro,size=64k none mnt
run remount mount -o remount,rw mnt
run umount_lazy umount -l mnt
run losetup losetup -a
run findmnt findmnt /
run lsblk lsblk
run ip_link ip link
run ip_addr ip -o addr
run ip_route ip route
run dmesg dmesg -n 7
run sysctl cat /proc/sys/vm/swappiness
run sysctl_write sh -c 'echo 60 > /proc/sys/vm/swappiness'
run sys_read cat /sys/kernel/profiling
run proc_self ls /proc/self/fd
run maps cat /proc/self/maps
run unshare unshare -m true
run unshare_uts unshare -u hostname kf
run chroot chroot / /bin/true
run env_clear env -i /bin/true
run path_search env PATH=/nowhere:/usr/local/bin:/usr/bin:/bin true
run kill_zero sh -c 'kill -0 $$'
run kill_child sh -c 'sleep 100 & kill $!; wait $!; true'
run sigpipe sh -c 'yes | head -1'
run sleep_short sleep 0.05
run strings strings -n 20 $KO
run file_size sh -c 'wc -c < /etc/passwd'
run dd_zero dd if=/dev/zero of=/dev/null bs=1 count=3 status=none
run dd_skip dd if=/etc/passwd of=skipped bs=1 skip=3 count=3 conv=notrunc status=none
run split split -l 5 /etc/passwd part.
run comm comm /etc/passwd /etc/passwd
run join join /etc/group /etc/group
run paste paste /etc/group /etc/group
run fold fold -w 10 /etc/group
run od od -c -N 16 /etc/passwd
run base64 base64 /etc/hostname
run sha256sum sha256sum /etc/passwd
run cksum cksum /etc/passwd
run shuf shuf -n 1 /etc/passwd
run sort_unique sort -u /etc/passwd -o sorted
run git_version git version
run git_init git init -q repository
run git_status git -C repository status -s

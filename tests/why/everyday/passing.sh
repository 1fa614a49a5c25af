# Everyday commands that succeed: nothing may be blamed.
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

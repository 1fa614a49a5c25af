# The same system calls with a clock in the program, and in a recording of a quarter of them. After recordings.sh.
# LOOPS has a line "NAME BATCHES LOOPS" for each.
cp $share/syscall_loop .

plain() {
    while read -r name batches loops; do
        ./syscall_loop none $batches $loops >> $name.none
        ./syscall_loop $name $batches $loops >> $name.plain
    done <<< "$LOOPS"
}

# Before the recordings and after them.
plain
plain
while read -r name batches loops; do
    quiet $name --buffer 200M --no-returns --no-syscalls ./syscall_loop $name $((batches / 4)) $loops
done <<< "$LOOPS"
plain
plain
cp *.none *.plain $share/
exit 0

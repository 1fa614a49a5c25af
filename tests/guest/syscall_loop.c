/*
 * How long a system call takes by a clock in the program: syscall_loop NAME BATCHES LOOPS
 * runs NAME LOOPS times, over and over, and prints the ns of each of BATCHES. "none" is a system call that does not
 * exist: the way into the kernel and back, and no function in it. In a trace, getuid stands before each batch.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FILE_IN_MEMORY "/run/syscall_loop"

static int pipes[2], zero;
static char page[65536];

static void none(void) { syscall(9999); }
static void getpid_(void) { syscall(SYS_getpid); }
static void stat_(void) { struct stat st; if (syscall(SYS_stat, FILE_IN_MEMORY, &st)) exit(1); }
static void open_(void) { if (close(syscall(SYS_open, FILE_IN_MEMORY, O_RDONLY))) exit(1); }
static void pipe_(void) { if (write(pipes[1], page, 8) != 8 || read(pipes[0], page, 8) != 8) exit(1); }
static void read_(void) { if (read(zero, page, sizeof page) != sizeof page) exit(1); }

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(void); } all[] = {
		{"none", none}, {"getpid", getpid_}, {"stat", stat_}, {"open", open_}, {"pipe", pipe_}, {"read", read_},
	};
	long batches = atol(argv[2]), loops = atol(argv[3]), *took = calloc(batches, sizeof *took);
	struct timespec begin, end;
	unsigned k = 0;

	/* No page of these is touched for the first time while it counts. */
	memset(page, 1, sizeof page);
	memset(took, 1, batches * sizeof *took);
	while (strcmp(all[k].name, argv[1]))
		k++;
	zero = open("/dev/zero", O_RDONLY);
	close(open(FILE_IN_MEMORY, O_CREAT | O_WRONLY, 0600));
	if (zero < 0 || pipe(pipes))
		return 1;
	for (int i = 0; i < 50; i++)
		all[k].run();
	for (long i = 0; i < batches; i++) {
		syscall(SYS_getuid);
		clock_gettime(CLOCK_MONOTONIC, &begin);
		for (long j = 0; j < loops; j++)
			all[k].run();
		clock_gettime(CLOCK_MONOTONIC, &end);
		took[i] = (end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec;
	}
	syscall(SYS_getuid);
	for (long i = 0; i < batches; i++)
		printf("%ld\n", took[i]);
	return 0;
}

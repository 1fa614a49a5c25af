/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small programs that fail in one system call, for everyday.sh: everyday NAME [ARGUMENT]. Exit status 1 where the call
 * failed, 0 where it did not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <unistd.h>

static int end(long result)
{
	if (result >= 0)
		return 0;
	const char *text = strerror(errno);
	write(2, text, strlen(text));
	write(2, "\n", 1);
	return 1;
}

static void nobody(void)
{
	setgroups(0, NULL);
	setgid(65534);
	setuid(65534);
}

static void limit(int which, rlim_t value)
{
	struct rlimit one = { value, value };
	setrlimit(which, &one);
}

static int bind_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(4711) };
	int first = socket(AF_INET, SOCK_STREAM, 0), second = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(first, (void *)&at, sizeof(at)) < 0 || listen(first, 1) < 0)
		return 0;
	return end(bind(second, (void *)&at, sizeof(at)));
}

static int bind_path(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
	return end(bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&at, sizeof(at)));
}

static int connect_path(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
	return end(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&at, sizeof(at)));
}

static int closed_pipe(void)
{
	int ends[2];
	signal(SIGPIPE, SIG_IGN);
	pipe(ends);
	close(ends[0]);
	return end(write(ends[1], "x", 1));
}

static int filtered(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdir, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return 0;
	return end(syscall(SYS_mkdir, "/tmp/never", 0700));
}

static int run(const char *path)
{
	char *argv[] = { (char *)path, NULL }, *env[] = { NULL };
	return end(execve(path, argv, env));
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "", *path = argc > 2 ? argv[2] : "";
#define CASE(text) if (!strcmp(name, text))
	CASE("forbidden_file") { nobody(); return end(open(path, O_RDONLY)); }
	CASE("not_executable") return run(path);
	CASE("bad_format") return run(path);
	CASE("used_port") return bind_port();
	CASE("used_socket") return bind_path(path);
	CASE("nobody_listens") return connect_path(path);
	CASE("memory_limit") { limit(RLIMIT_AS, 64 << 20); return end((long)mmap(NULL, 256 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)); }
	CASE("process_limit") { nobody(); limit(RLIMIT_NPROC, 0); long pid = fork(); if (!pid) _exit(0); return end(pid); }
	CASE("kill_forbidden") { nobody(); return end(kill(1, SIGTERM)); }
	CASE("no_process") return end(kill(3999999, SIGTERM));
	CASE("closed_pipe") return closed_pipe();
	CASE("seccomp") return filtered();
	CASE("bad_fd") return end(write(99, "x", 1));
	CASE("bad_address") { int fd = open(path, O_WRONLY | O_CREAT, 0600); return end(write(fd, (void *)8, 100)); }
	CASE("other_device") return end(link(path, "/dev/kfgraph-other"));
	CASE("many_files") { limit(RLIMIT_NOFILE, 3); return end(open("/", O_RDONLY)); }
	CASE("file_size_limit") { signal(SIGXFSZ, SIG_IGN); limit(RLIMIT_FSIZE, 0); int fd = open(path, O_WRONLY | O_CREAT, 0600); return end(write(fd, "x", 1)); }
	CASE("bad_seek") { int fd = open("/etc/passwd", O_RDONLY); return end(lseek(fd, -5, SEEK_SET)); }
	CASE("busy_text") return end(open("/proc/self/exe", O_WRONLY));
	CASE("forbidden_chown") { nobody(); return end(chown("/etc/passwd", 65534, 65534)); }
	CASE("forbidden_chroot") { nobody(); return end(chroot("/")); }
	CASE("root_name") return end(sethostname("kfgraph", 7));
	CASE("forbidden_name") { nobody(); return end(sethostname("x", 1)); }
	CASE("bad_mapping") return end((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 99, 0));
	CASE("no_listener_read") { int fd = socket(AF_UNIX, SOCK_STREAM, 0); char c; return end(read(fd, &c, 1)); }
	return 3;
}

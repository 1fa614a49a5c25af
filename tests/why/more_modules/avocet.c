/* truth: {"error": -22, "birth": ["kernel_read_file"], "chain": ["avocet_init"]} the kernel reads a file for a module: it is a folder */
#include "corpus.h"
#include <linux/kernel_read_file.h>
#include <linux/vmalloc.h>
static noinline int avocet_sip(const char *path)
{
	void *buf = NULL;
	ssize_t got = kernel_read_file_from_path(path, 0, &buf, 4096, NULL, READING_FIRMWARE);
	if (got < 0)
		return got;
	vfree(buf);
	return 0;
}
static int __init avocet_init(void)
{
	int rc = avocet_sip("/etc/passwd");
	if (rc)
		return rc;
	return avocet_sip(fail ? "/etc" : "/etc/group");
}
static void __exit avocet_exit(void) { a_little(); }
module_init(avocet_init); module_exit(avocet_exit);

/* truth: {"error": -34, "birth": ["oxlip_petal", "work_on_cpu", "work_on_cpu_key"], "chain": ["oxlip_init"]} run on a CPU: the kernel makes a work item of it, waits, and returns what it said */
#include "corpus.h"
#include <linux/workqueue.h>
static noinline long oxlip_petal(long n) { a_little(); return fail && n == 4 ? -ERANGE : n; }
static noinline long oxlip_open(void *arg)
{
	long n, got = 0;
	for (n = 0; n < 6 && got >= 0; n++)
		got = oxlip_petal(n);
	return got < 0 ? got : 0;
}
static int __init oxlip_init(void)
{
	long rc = work_on_cpu(0, oxlip_open, NULL);
	return rc;
}
static void __exit oxlip_exit(void) { a_little(); }
module_init(oxlip_init); module_exit(oxlip_exit);

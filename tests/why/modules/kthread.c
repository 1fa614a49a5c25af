/* truth: {"error": -104, "birth": ["kt_main", "kt_init", "kthread_stop"], "chain": ["kt_init"]} the error is what a thread of the kernel ended with */
#include "corpus.h"
#include <linux/kthread.h>
static noinline int kt_serve(void) { a_little(); return fail ? -ECONNRESET : 0; }
static int kt_main(void *data)
{
	int err = kt_serve();
	while (!kthread_should_stop())
		msleep(1);
	return err;
}
static int __init kt_init(void)
{
	struct task_struct *t = kthread_run(kt_main, NULL, "kfgraph_kt");
	if (IS_ERR(t))
		return PTR_ERR(t);
	msleep(5);
	return kthread_stop(t);
}
static void __exit kt_exit(void) { a_little(); }
module_init(kt_init); module_exit(kt_exit);

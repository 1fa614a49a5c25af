/* truth: {"error": -52, "birth": ["fenland_peat", "fenland_cross"], "chain": ["fenland_init"]} a thread leaves its error in a structure and completes; it is stopped later and returns 0 */
#include "corpus.h"
#include <linux/completion.h>
#include <linux/kthread.h>
struct fen { struct completion done; int outcome; };
static noinline int fenland_peat(int n) { a_little(); return fail && n == 3 ? -EBADE : n; }
static noinline int fenland_drain(void)
{
	int n, got = 0;
	for (n = 0; n < 5 && got >= 0; n++)
		got = fenland_peat(n);
	return got < 0 ? got : 0;
}
static int fenland_body(void *data)
{
	struct fen *f = data;
	f->outcome = fenland_drain();
	complete(&f->done);
	while (!kthread_should_stop())
		msleep(5);
	return 0;
}
static noinline int fenland_cross(void)
{
	struct fen f = { .outcome = 0 };
	struct task_struct *t;
	init_completion(&f.done);
	t = kthread_run(fenland_body, &f, "fenland");
	if (IS_ERR(t))
		return PTR_ERR(t);
	wait_for_completion(&f.done);
	kthread_stop(t);
	return f.outcome;
}
static int __init fenland_init(void) { return fenland_cross(); }
static void __exit fenland_exit(void) { a_little(); }
module_init(fenland_init); module_exit(fenland_exit);

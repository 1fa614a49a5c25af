/* truth: {"error": -16, "birth": ["lb_take", "mutex_trylock"], "chain": ["lb_init", "lb_run", "lb_take"]} somebody holds the lock */
#include <linux/mutex.h>
#include "corpus.h"
static DEFINE_MUTEX(busy);
static noinline int lb_check(void) { a_little(); return 0; }
static noinline int lb_take(void) { return mutex_trylock(&busy) ? 0 : -EBUSY; }
static noinline int lb_run(void) { int err = lb_check(); if (!err) err = lb_take(); if (!err) mutex_unlock(&busy); return err; }
static int __init lb_init(void)
{
	int err;
	if (fail)
		mutex_lock(&busy);
	err = lb_run();
	if (fail)
		mutex_unlock(&busy);
	return err;
}
static void __exit lb_exit(void) { a_little(); }
module_init(lb_init); module_exit(lb_exit);

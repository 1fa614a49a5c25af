/* truth: {"error": -110, "birth": ["wt_wait_for_chip", "wt_start", "wait_for_completion_timeout"], "chain": ["wt_init", "wt_start"]} nothing comes in time: zero becomes -ETIMEDOUT */
#include <linux/completion.h>
#include "corpus.h"
static DECLARE_COMPLETION(done);
static noinline void wt_kick(void) { if (!fail) complete(&done); }
static noinline void wt_halt(void) { a_little(); }
static noinline int wt_start(void)
{
	wt_kick();
	if (!wait_for_completion_timeout(&done, 2)) {
		wt_halt();
		return -ETIMEDOUT;
	}
	return 0;
}
static int __init wt_init(void) { return wt_start(); }
static void __exit wt_exit(void) { wt_halt(); }
module_init(wt_init); module_exit(wt_exit);

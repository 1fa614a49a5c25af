/* truth: {"error": -110, "birth": ["cn_wait_ready"], "chain": ["cn_init", "cn_bring_up"]} what is done after the failure looks something up and gets NULL */
#include "corpus.h"
static noinline int cn_power(int on) { a_little(); return 0; }
static noinline int cn_wait_ready(void) { int i; for (i = 0; i < 3; i++) udelay(5); return fail ? -ETIMEDOUT : 0; }
static noinline void *cn_find_pending(int n) { a_little(); return NULL; }
static noinline void *cn_take_page(void) { a_little(); return NULL; }
static noinline int cn_bring_up(void)
{
	int err = cn_power(1);
	if (err)
		return err;
	err = cn_wait_ready();
	if (err) {
		if (cn_find_pending(1))
			cn_power(1);
		if (cn_take_page())
			cn_power(1);
		cn_power(0);
	}
	return err;
}
static int __init cn_init(void) { return cn_bring_up(); }
static void __exit cn_exit(void) { cn_power(0); }
module_init(cn_init); module_exit(cn_exit);

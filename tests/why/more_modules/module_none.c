/* truth: {"error": -2, "birth": ["mn_need", "mn_load", "__request_module", "call_usermodehelper_exec"], "chain": ["mn_init", "mn_need"]} the helper module is not there: a positive status becomes -ENOENT */
#include <linux/kmod.h>
#include "corpus.h"
static noinline int mn_load(int n) { a_little(); return fail ? 256 * n : 0; }
static noinline int mn_need(void)
{
	if (mn_load(1) > 0)
		return -ENOENT;
	return 0;
}
static int __init mn_init(void) { return mn_need(); }
static void __exit mn_exit(void) { a_little(); }
module_init(mn_init); module_exit(mn_exit);

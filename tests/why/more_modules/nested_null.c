/* truth: {"error": -19, "birth": ["nn_find_slot", "nn_by_name"], "chain": ["nn_init", "nn_attach"]} NULL, found by nobody, becomes -ENODEV two callers up */
#include "corpus.h"
static noinline void *nn_by_name(const char *name) { a_little(); return fail ? NULL : (void *)name; }
static noinline void *nn_find_slot(const char *name) { void *at = nn_by_name(name); a_little(); return at; }
static noinline int nn_power(int on) { a_little(); return 0; }
static noinline int nn_attach(void)
{
	int err = nn_power(1);
	if (err)
		return err;
	if (!nn_find_slot("slot")) {
		nn_power(0);
		return -ENODEV;
	}
	return 0;
}
static int __init nn_init(void) { return nn_attach(); }
static void __exit nn_exit(void) { nn_power(0); }
module_init(nn_init); module_exit(nn_exit);

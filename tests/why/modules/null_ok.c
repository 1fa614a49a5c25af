/* truth: {"error": -22, "birth": ["no_check_table"], "chain": ["no_init"]} a look-up returns NULL and that is fine */
#include "corpus.h"
static noinline void *no_find_override(void) { a_little(); return NULL; }
static noinline int no_check_table(void *p) { a_little(); return fail ? -EINVAL : 0; }
static noinline void *no_find_quirk(void) { a_little(); return NULL; }
static int __init no_init(void)
{
	void *p = no_find_override();
	int err = no_check_table(p);
	if (!err && !no_find_quirk())
		a_little();
	return err;
}
static void __exit no_exit(void) { a_little(); }
module_init(no_init); module_exit(no_exit);

/* truth: {"error": -95, "birth": ["fo_set_mode"], "chain": ["fo_init"]} a question answered with false is no failure */
#include "corpus.h"
static noinline bool fo_is_old(void) { a_little(); return false; }
static noinline int fo_set_mode(bool old) { a_little(); return fail ? -EOPNOTSUPP : 0; }
static noinline bool fo_has_irq(void) { a_little(); return false; }
static int __init fo_init(void)
{
	int err = fo_set_mode(fo_is_old());
	if (err && fo_has_irq())
		a_little();
	return err;
}
static void __exit fo_exit(void) { a_little(); }
module_init(fo_init); module_exit(fo_exit);

/* truth: {"error": -22, "birth": ["oc_configure"], "chain": ["oc_init"]} an earlier callee failed with the same error and was ignored; the caller's own check refuses */
#include "corpus.h"
static noinline int oc_try_fast(void) { a_little(); return -EINVAL; }
static noinline int oc_load_table(void) { a_little(); return 0; }
static noinline int oc_read_size(void) { a_little(); return fail ? 3 : 4; }
static noinline int oc_configure(void)
{
	if (oc_try_fast())
		a_little();
	if (oc_load_table())
		return -EIO;
	if (oc_read_size() != 4)
		return -EINVAL;
	return 0;
}
static int __init oc_init(void) { return oc_configure(); }
static void __exit oc_exit(void) { a_little(); }
module_init(oc_init); module_exit(oc_exit);

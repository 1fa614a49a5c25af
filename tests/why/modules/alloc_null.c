/* truth: {"error": -12, "birth": ["an_alloc_ring"], "chain": ["an_init", "an_setup"]} NULL becomes -ENOMEM */
#include "corpus.h"
static char an_ring[16];
static noinline void *an_alloc_ring(int n) { a_little(); return fail && n == 1 ? NULL : an_ring; }
static noinline int an_setup(void)
{
	int n;
	for (n = 0; n < 3; n++)
		if (!an_alloc_ring(n))
			return -ENOMEM;
	return 0;
}
static int __init an_init(void) { return an_setup(); }
static void __exit an_exit(void) { a_little(); }
module_init(an_init); module_exit(an_exit);

/* truth: {"error": -129, "birth": ["plover_q", "plover_run"], "chain": ["plover_init"]} 0 of an int function means no; its caller says what that is */
#include "corpus.h"
static noinline int plover_q(int n) { a_little(); return !(fail && n == 2); }
static noinline int plover_run(int many)
{
	int n;
	for (n = 0; n < many; n++)
		if (!plover_q(n))
			return -EKEYREJECTED;
	return 0;
}
static int __init plover_init(void) { return plover_run(4); }
static void __exit plover_exit(void) { a_little(); }
module_init(plover_init); module_exit(plover_exit);

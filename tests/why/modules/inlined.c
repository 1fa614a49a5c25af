/* truth: {"error": -84, "birth": ["in_decode"], "chain": ["in_init"]} the check is inlined: its caller is named */
#include "corpus.h"
static __always_inline int in_check(int v) { return fail && v > 2 ? -EILSEQ : 0; }
static noinline int in_fetch(int v) { a_little(); return v; }
static noinline int in_decode(void)
{
	int v, err = 0;
	for (v = 0; v < 5 && !err; v++)
		err = in_check(in_fetch(v));
	return err;
}
static int __init in_init(void) { return in_decode(); }
static void __exit in_exit(void) { a_little(); }
module_init(in_init); module_exit(in_exit);

/* truth: {"error": -22, "birth": ["nv_layout_valid", "nv_load_layout"], "chain": ["nv_init", "nv_load_layout"]} false becomes -EINVAL */
#include "corpus.h"
static noinline int nv_fetch(int *n) { a_little(); *n = fail ? 9 : 2; return 0; }
static noinline bool nv_layout_valid(int n) { a_little(); return n < 5; }
static noinline int nv_load_layout(void)
{
	int n = 0, err = nv_fetch(&n);
	if (err)
		return err;
	if (!nv_layout_valid(n))
		return -EINVAL;
	return 0;
}
static int __init nv_init(void) { return nv_load_layout(); }
static void __exit nv_exit(void) { a_little(); }
module_init(nv_init); module_exit(nv_exit);

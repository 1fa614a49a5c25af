/* truth: {"error": -52, "birth": ["ho_open_bus"], "chain": ["ho_init"]} the caller hands the error pointer to the next functions, which give it back */
#include "corpus.h"
static int bus;
static noinline void *ho_open_bus(int n) { a_little(); return fail && n ? ERR_PTR(-EBADE) : &bus; }
static noinline void *ho_select(void *at) { if (IS_ERR(at)) return at; a_little(); return at; }
static noinline int ho_write(void *at, int v) { if (IS_ERR(at)) return PTR_ERR(at); a_little(); return 0; }
static int __init ho_init(void)
{
	ho_write(ho_select(ho_open_bus(0)), 0);
	return ho_write(ho_select(ho_open_bus(1)), 1);
}
static void __exit ho_exit(void) { a_little(); }
module_init(ho_init); module_exit(ho_exit);

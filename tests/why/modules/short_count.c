/* truth: {"error": -5, "birth": ["sc_read_block", "sc_load"], "chain": ["sc_init", "sc_load"]} a count that is too small becomes -EIO */
#include "corpus.h"
static noinline int sc_read_block(int n) { a_little(); return fail ? 100 : 512; }
static noinline int sc_load(void) { return sc_read_block(0) != 512 ? -EIO : 0; }
static int __init sc_init(void) { return sc_load(); }
static void __exit sc_exit(void) { a_little(); }
module_init(sc_init); module_exit(sc_exit);

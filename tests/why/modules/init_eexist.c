/* truth: {"error": -17, "error_alternatives": [-17, -16], "birth": ["ie_add_key"], "chain": ["ie_init"]} its own -EEXIST, which 7.2's loader makes -EBUSY */
#include "corpus.h"
static noinline int ie_add_key(int n) { a_little(); return fail && n == 2 ? -EEXIST : 0; }
static int __init ie_init(void) { int n, err = 0; for (n = 0; n < 4 && !err; n++) err = ie_add_key(n); return err; }
static void __exit ie_exit(void) { a_little(); }
module_init(ie_init); module_exit(ie_exit);

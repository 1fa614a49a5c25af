/* truth: {"error": -19, "birth": ["mo_select"], "chain": ["mo_init"]} a comparison returns -1, which is no -EPERM */
#include "corpus.h"
static noinline int mo_compare(int a, int b) { a_little(); return a < b ? -1 : a > b; }
static noinline int mo_select(int order) { a_little(); return fail ? -ENODEV : 0; }
static int __init mo_init(void) { int err = mo_select(mo_compare(1, 2)); if (err) mo_compare(1, 2); return err; }
static void __exit mo_exit(void) { a_little(); }
module_init(mo_init); module_exit(mo_exit);

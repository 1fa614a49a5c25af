/* truth: {"error": -1, "birth": ["fe_allowed"], "chain": ["fe_init"]} false becomes -EPERM */
#include "corpus.h"
static noinline bool fe_allowed(void) { a_little(); return !fail; }
static noinline int fe_unlock_device(void) { if (!fe_allowed()) return -EPERM; return 0; }
static int __init fe_init(void) { return fe_unlock_device(); }
static void __exit fe_exit(void) { a_little(); }
module_init(fe_init); module_exit(fe_exit);

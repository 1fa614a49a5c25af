/* truth: {"error": -62, "birth": ["tc_poll"], "chain": ["tc_init"]} the callers jump instead of calling */
#include "corpus.h"
static noinline int tc_poll(int n) { a_little(); return fail ? -ETIME : n; }
static noinline int tc_wait(int n) { return tc_poll(n + 1); }
static noinline int tc_ready(int n) { return tc_wait(n + 1); }
static int __init tc_init(void) { int err = tc_ready(0); a_little(); return err < 0 ? err : 0; }
static void __exit tc_exit(void) { a_little(); }
module_init(tc_init); module_exit(tc_exit);

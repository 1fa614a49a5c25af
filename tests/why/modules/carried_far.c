/* truth: {"error": -75, "birth": ["cf_count"], "chain": ["cf_init", "cf_a", "cf_b", "cf_c", "cf_d"]} through many callers, with work of others between */
#include "corpus.h"
static noinline int cf_log(int v) { a_little(); return 0; }
static noinline int cf_count(int n) { a_little(); return fail && n > 6 ? -EOVERFLOW : n; }
static noinline int cf_d(int n) { int v = cf_count(n); cf_log(v); return v < 0 ? v : 0; }
static noinline int cf_c(int n) { int i, err = 0; for (i = 0; i < n && !err; i++) err = cf_d(i); return err; }
static noinline int cf_b(int n) { int err = cf_c(n); cf_log(err); return err; }
static noinline int cf_a(int n) { int err = cf_b(n); cf_log(err); return err; }
static int __init cf_init(void) { return cf_a(10); }
static void __exit cf_exit(void) { a_little(); }
module_init(cf_init); module_exit(cf_exit);

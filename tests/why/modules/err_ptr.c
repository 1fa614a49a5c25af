/* truth: {"error": -517, "birth": ["ep_lookup"], "chain": ["ep_init", "ep_get_clock"], "error_alternatives": [-517, -16, -19]} an error pointer becomes an int */
#include "corpus.h"
static int ep_clock;
static noinline int *ep_lookup(int n) { a_little(); return fail ? ERR_PTR(-EPROBE_DEFER) : &ep_clock; }
static noinline int *ep_get_clock(int n) { int *p = ep_lookup(n); a_little(); return p; }
static int __init ep_init(void) { int *p = ep_get_clock(1); return IS_ERR(p) ? PTR_ERR(p) : 0; }
static void __exit ep_exit(void) { a_little(); }
module_init(ep_init); module_exit(ep_exit);

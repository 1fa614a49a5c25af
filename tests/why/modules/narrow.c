/* truth: {"error": -34, "birth": ["na_check_range"], "chain": ["na_init", "na_configure"]} narrow types on the way */
#include "corpus.h"
static noinline s8 na_temperature(void) { a_little(); return -34; }
static noinline int na_check_range(s8 t) { a_little(); return fail ? -ERANGE : 0; }
static noinline u8 na_status(void) { a_little(); return 0xde; }
static noinline int na_configure(void) { int err = na_check_range(na_temperature()); na_status(); return err; }
static int __init na_init(void) { return na_configure(); }
static void __exit na_exit(void) { a_little(); }
module_init(na_init); module_exit(na_exit);

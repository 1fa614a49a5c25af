/* truth: {"error": -22, "birth": ["kstrtoint", "_kstrtoull", "kstrtoull", "kstrtoll", "ks_parse"], "chain": ["ks_init", "ks_parse"]} a number that is none; lib/ is not traceable on some kernels */
#include "corpus.h"
static noinline int ks_parse(const char *text) { int value; int err = kstrtoint(text, 10, &value); a_little(); return err; }
static int __init ks_init(void) { return ks_parse("12") ?: ks_parse(fail ? "1x" : "3"); }
static void __exit ks_exit(void) { a_little(); }
module_init(ks_init); module_exit(ks_exit);

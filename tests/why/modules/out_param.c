/* truth: {"error": -61, "birth": ["op_query", "op_init"], "chain": ["op_init"]} the error comes through a pointer */
#include "corpus.h"
static noinline void op_query(int what, int *err) { a_little(); *err = fail ? -ENODATA : 0; }
static int __init op_init(void) { int err; op_query(1, &err); a_little(); return err; }
static void __exit op_exit(void) { a_little(); }
module_init(op_init); module_exit(op_exit);

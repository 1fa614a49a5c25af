/* truth: {"error": -19, "birth": ["deep_read_id"], "chain": ["deep_init", "deep_probe", "deep_slot"]} */
#include "corpus.h"
static noinline int deep_read_id(int slot) { a_little(); return fail && slot == 2 ? -ENODEV : 64 + slot; }
static noinline int deep_slot(int slot) { int id = deep_read_id(slot); a_little(); return id < 0 ? id : 0; }
static noinline int deep_probe(void)
{
	int i, err = 0;
	for (i = 0; i < 4 && !err; i++)
		err = deep_slot(i);
	return err;
}
static noinline void deep_teardown(void) { a_little(); }
static int __init deep_init(void) { int err = deep_probe(); if (err) deep_teardown(); return err; }
static void __exit deep_exit(void) { deep_teardown(); }
module_init(deep_init); module_exit(deep_exit);

/* truth: {"error": -6, "birth": ["tr_read_reg"], "chain": ["tr_init", "tr_identify"]} -EIO below becomes -ENXIO */
#include "corpus.h"
static noinline int tr_read_reg(int reg) { a_little(); return fail && reg == 3 ? -EIO : reg; }
static noinline int tr_identify(void)
{
	int reg;
	for (reg = 0; reg < 5; reg++)
		if (tr_read_reg(reg) < 0)
			return -ENXIO;
	return 0;
}
static noinline void tr_free(void) { a_little(); }
static int __init tr_init(void) { int err = tr_identify(); if (err) tr_free(); return err; }
static void __exit tr_exit(void) { tr_free(); }
module_init(tr_init); module_exit(tr_exit);

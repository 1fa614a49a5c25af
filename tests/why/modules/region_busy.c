/* truth: {"error": -16, "birth": ["__request_region", "__request_region_locked"], "chain": ["rb_init", "rb_claim"]} the ports are claimed: NULL becomes -EBUSY */
#include "corpus.h"
#include <linux/ioport.h>
static noinline int rb_claim(int base)
{
	if (!request_region(base, 4, "kfgraph_rb"))
		return -EBUSY;
	return 0;
}
static int __init rb_init(void)
{
	int err = rb_claim(0x7e0);
	if (err || !fail)
		return err;
	err = rb_claim(0x7e2);
	release_region(0x7e0, 4);
	return err;
}
static void __exit rb_exit(void) { release_region(0x7e0, 4); }
module_init(rb_init); module_exit(rb_exit);

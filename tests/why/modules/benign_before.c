/* truth: {"error": -19, "birth": ["bb_find_chip"], "chain": ["bb_init"]} an optional part is missing too, with the same error, and that is ignored */
#include "corpus.h"
static noinline int bb_optional_led(void) { a_little(); return -ENODEV; }
static noinline int bb_setup_bus(void) { a_little(); return 0; }
static noinline int bb_find_chip(void) { a_little(); return fail ? -ENODEV : 0; }
static noinline void bb_free_bus(void) { a_little(); }
static int __init bb_init(void)
{
	int err;
	if (bb_optional_led())
		a_little();
	err = bb_setup_bus();
	if (err)
		return err;
	err = bb_find_chip();
	if (err)
		bb_free_bus();
	return err;
}
static void __exit bb_exit(void) { bb_free_bus(); }
module_init(bb_init); module_exit(bb_exit);

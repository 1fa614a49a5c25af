/* truth: {"error": -5, "birth": ["co_start_dma"], "chain": ["co_init"]} the clean-up fails as well, with another error, which is ignored */
#include "corpus.h"
static noinline int co_start_dma(void) { a_little(); return fail ? -EIO : 0; }
static noinline int co_stop_clock(void) { a_little(); return -EINVAL; }
static noinline void *co_release_buffer(void) { a_little(); return NULL; }
static int __init co_init(void)
{
	int err = co_start_dma();
	if (err) {
		co_stop_clock();
		co_release_buffer();
	}
	return err;
}
static void __exit co_exit(void) { co_stop_clock(); co_release_buffer(); }
module_init(co_init); module_exit(co_exit);

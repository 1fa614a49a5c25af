/* truth: {"error": -5, "birth": ["bram_once", "bram_thrice"], "chain": ["bram_init"]} tried three times with three different errors; then the caller says -EIO */
#include "corpus.h"
static int seen;
static noinline int bram_once(void)
{
	static const int said[] = { -EBUSY, -EPROTO, -ETIME };
	a_little();
	return fail || seen < 1 ? said[seen++ % 3] : 0;
}
static noinline void bram_rest(void) { usleep_range(100, 200); }
static noinline int bram_thrice(void)
{
	int i;
	for (i = 0; i < 3; i++) {
		if (!bram_once())
			return 0;
		bram_rest();
	}
	return -EIO;
}
static int __init bram_init(void) { return bram_thrice(); }
static void __exit bram_exit(void) { a_little(); }
module_init(bram_init); module_exit(bram_exit);

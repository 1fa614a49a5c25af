/* truth: {"error": -110, "birth": ["retry_wait_ready"], "chain": ["retry_init", "retry_reset"]} five tries, all fail */
#include "corpus.h"
static noinline int retry_wait_ready(int n) { a_little(); return fail ? -ETIMEDOUT : 0; }
static noinline int retry_reset(void)
{
	int n, err = 0;
	for (n = 0; n < 5; n++) {
		err = retry_wait_ready(n);
		if (!err)
			break;
		udelay(20);
	}
	return err;
}
static int __init retry_init(void) { return retry_reset(); }
static void __exit retry_exit(void) { a_little(); }
module_init(retry_init); module_exit(retry_exit);

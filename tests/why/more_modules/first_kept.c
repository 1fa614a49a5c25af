/* truth: {"error": -61, "birth": ["fk_scan_port"], "chain": ["fk_init", "fk_scan_all"]} all are tried; the first error is what is returned */
#include "corpus.h"
static noinline int fk_scan_port(int n) { a_little(); return fail && n == 1 ? -ENODATA : fail && n == 3 ? -EIO : n; }
static noinline int fk_scan_all(void)
{
	int n, ret = 0;
	for (n = 0; n < 5; n++) {
		int err = fk_scan_port(n);
		if (err < 0 && !ret)
			ret = err;
	}
	return ret;
}
static int __init fk_init(void) { return fk_scan_all(); }
static void __exit fk_exit(void) { a_little(); }
module_init(fk_init); module_exit(fk_exit);

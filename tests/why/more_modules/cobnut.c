/* truth: {"error": -16, "birth": ["cobnut_shell"], "chain": ["cobnut_init"]} the second step fails with -ECOMM; what undoes the first fails too, and its -EBUSY is what is returned */
#include "corpus.h"
static noinline int cobnut_plant(void) { a_little(); return 0; }
static noinline int cobnut_grow(void) { a_little(); return fail ? -ECOMM : 0; }
static noinline int cobnut_shell(void) { a_little(); return -EBUSY; }
static noinline int cobnut_year(void)
{
	int rc = cobnut_plant(), undone;
	if (rc)
		return rc;
	rc = cobnut_grow();
	if (rc) {
		undone = cobnut_shell();
		if (undone)
			rc = undone;
	}
	return rc;
}
static int __init cobnut_init(void) { return cobnut_year(); }
static void __exit cobnut_exit(void) { a_little(); }
module_init(cobnut_init); module_exit(cobnut_exit);

/* truth: {"error": -16, "birth": ["cs_claim_port"], "chain": ["cs_init"]} the clean-up fails with the same error */
#include "corpus.h"
static noinline int cs_claim_port(void) { a_little(); return fail ? -EBUSY : 0; }
static noinline int cs_unregister_port(void) { a_little(); return -EBUSY; }
static int __init cs_init(void)
{
	int err = cs_claim_port();
	if (err)
		cs_unregister_port();
	return err;
}
static void __exit cs_exit(void) { cs_unregister_port(); }
module_init(cs_init); module_exit(cs_exit);

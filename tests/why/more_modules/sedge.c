/* truth: {"error": -117, "birth": ["sedge_cut"], "chain": ["sedge_init"]} an error pointer goes through two functions that take it as an argument and hand it back as a number */
#include "corpus.h"
struct blade { int n; };
static struct blade spare = { 1 };
static noinline struct blade *sedge_cut(int n) { a_little(); return fail && n == 1 ? ERR_PTR(-EUCLEAN) : &spare; }
static noinline struct blade *sedge_bind(struct blade *b) { if (IS_ERR(b)) return b; a_little(); return b; }
static noinline int sedge_tie(struct blade *b) { if (IS_ERR(b)) return PTR_ERR(b); a_little(); return b->n > 5 ? -ERANGE : 0; }
static noinline int sedge_one(int n) { return sedge_tie(sedge_bind(sedge_cut(n))); }
static int __init sedge_init(void)
{
	int rc = sedge_one(0);
	if (!rc)
		rc = sedge_one(1);
	return rc;
}
static void __exit sedge_exit(void) { a_little(); }
module_init(sedge_init); module_exit(sedge_exit);

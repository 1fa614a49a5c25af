/* truth: {"error": -71, "birth": ["midge_bite", "midge_swarm"], "chain": ["midge_init"]} firmware style: a positive code, which its caller negates */
#include "corpus.h"
static noinline int midge_bite(int n) { a_little(); return fail && n == 2 ? EPROTO : 0; }
static noinline int midge_swarm(int many)
{
	int n, code;
	for (n = 0; n < many; n++) {
		code = midge_bite(n);
		if (code)
			return -code;
	}
	return 0;
}
static int __init midge_init(void) { return midge_swarm(4); }
static void __exit midge_exit(void) { a_little(); }
module_init(midge_init); module_exit(midge_exit);

/* truth: {"error": -28, "birth": ["vj_reserve"], "chain": ["vj_init"]} a void function runs after it, its register still holds the error */
#include "corpus.h"
static noinline int vj_reserve(void) { a_little(); return fail ? -ENOSPC : 0; }
static noinline void vj_note(int *err) { asm volatile("" : : "a"((long)*err)); }
static int __init vj_init(void)
{
	int err = vj_reserve();
	if (err)
		vj_note(&err);
	return err;
}
static void __exit vj_exit(void) { a_little(); }
module_init(vj_init); module_exit(vj_exit);

/* truth: {"error": -12, "birth": ["__kmalloc", "kmalloc_large", "__kmalloc_large_node", "__kmalloc_noprof", "__kmalloc_large_noprof", "___kmalloc_large_node", "kb_buffer", "__alloc_frozen_pages_noprof"], "chain": ["kb_init", "kb_buffer"]} more than the allocator gives */
#include "corpus.h"
static void *kb_p;
static noinline int kb_buffer(size_t size)
{
	kb_p = kmalloc(size, GFP_KERNEL | __GFP_NOWARN);
	return kb_p ? 0 : -ENOMEM;
}
static int __init kb_init(void) { return kb_buffer(fail ? (size_t)1 << 40 : 100); }
static void __exit kb_exit(void) { kfree(kb_p); }
module_init(kb_init); module_exit(kb_exit);

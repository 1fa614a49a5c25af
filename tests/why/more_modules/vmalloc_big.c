/* truth: {"error": -12, "birth": ["vmalloc", "__vmalloc_node_range", "__vmalloc_node", "vmalloc_noprof", "__vmalloc_node_range_noprof", "__vmalloc_node_noprof", "vb_buffer"], "chain": ["vb_init", "vb_setup"]} more memory than there is, behind a helper that returns NULL */
#include <linux/vmalloc.h>
#include "corpus.h"
static void *at;
static noinline void *vb_buffer(unsigned long size) { void *p = vmalloc(size); a_little(); return p; }
static noinline int vb_setup(void)
{
	at = vb_buffer(fail ? 1UL << 42 : 4096);
	return at ? 0 : -ENOMEM;
}
static int __init vb_init(void) { return vb_setup(); }
static void __exit vb_exit(void) { vfree(at); }
module_init(vb_init); module_exit(vb_exit);

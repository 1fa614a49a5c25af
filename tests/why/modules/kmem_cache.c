/* truth: {"error": -12, "birth": ["kmem_cache_create_usercopy", "kmem_cache_create", "__kmem_cache_create_args", "kc_cache"], "chain": ["kc_init", "kc_cache"]} a cache that cannot be: NULL becomes -ENOMEM */
#include "corpus.h"
static struct kmem_cache *kc;
static noinline int kc_cache(unsigned int size) { kc = kmem_cache_create("kfgraph_kc", size, 0, 0, NULL); return kc ? 0 : -ENOMEM; }
static int __init kc_init(void) { return kc_cache(fail ? 0x7fffffff : 64); }
static void __exit kc_exit(void) { kmem_cache_destroy(kc); }
module_init(kc_init); module_exit(kc_exit);

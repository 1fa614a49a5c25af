/* truth: {"error": -2, "birth": ["path_openat", "link_path_walk", "open_last_lookups", "step_into", "walk_component", "lookup_fast", "link_path_walk.part.0", "atomic_open", "lookup_open"], "chain": ["fm_init", "filp_open"]} a file that it reads is missing */
#include "corpus.h"
static noinline int fm_read_settings(void)
{
	struct file *f = filp_open(fail ? "/etc/kfgraph-none" : "/etc/passwd", O_RDONLY, 0);
	if (IS_ERR(f))
		return PTR_ERR(f);
	filp_close(f, NULL);
	return 0;
}
static int __init fm_init(void) { return fm_read_settings(); }
static void __exit fm_exit(void) { a_little(); }
module_init(fm_init); module_exit(fm_exit);

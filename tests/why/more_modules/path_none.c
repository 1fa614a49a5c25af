/* truth: {"error": -20, "birth": ["link_path_walk", "walk_component", "filename_lookup", "path_lookupat", "kern_path"], "chain": ["pn_init", "pn_find"]} a file where a directory should be */
#include <linux/namei.h>
#include <linux/path.h>
#include "corpus.h"
static noinline int pn_find(const char *name)
{
	struct path at;
	int err = kern_path(name, LOOKUP_FOLLOW, &at);
	if (!err)
		path_put(&at);
	return err;
}
static int __init pn_init(void) { return pn_find(fail ? "/proc/version/x" : "/proc/version"); }
static void __exit pn_exit(void) { a_little(); }
module_init(pn_init); module_exit(pn_exit);

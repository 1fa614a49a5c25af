/* truth: {"error": -17, "error_alternatives": [-17, -16], "birth": ["start_creating", "debugfs_start_creating", "simple_start_creating", "lookup_one_qstr_excl"], "chain": ["dd_init", "debugfs_create_dir"]} a directory of this name is there */
#include "corpus.h"
#include <linux/debugfs.h>
static struct dentry *dd_dir;
static int __init dd_init(void)
{
	struct dentry *again;
	dd_dir = debugfs_create_dir("kfgraph_dd", NULL);
	if (IS_ERR(dd_dir))
		return PTR_ERR(dd_dir);
	if (!fail)
		return 0;
	again = debugfs_create_dir("kfgraph_dd", NULL);
	debugfs_remove_recursive(dd_dir);
	return PTR_ERR_OR_ZERO(again);
}
static void __exit dd_exit(void) { debugfs_remove_recursive(dd_dir); }
module_init(dd_init); module_exit(dd_exit);

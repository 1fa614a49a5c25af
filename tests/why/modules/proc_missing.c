/* truth: {"error": -12, "birth": ["proc_create", "proc_create_data", "proc_create_reg", "__proc_create", "xlate_proc_name", "__xlate_proc_name", "pde_subdir_find"], "chain": ["pm_init"]} its directory is not there: NULL becomes -ENOMEM */
#include "corpus.h"
#include <linux/proc_fs.h>
static const struct proc_ops pm_ops = { .proc_lseek = noop_llseek };
static struct proc_dir_entry *pm_entry;
static int __init pm_init(void)
{
	pm_entry = proc_create(fail ? "kfgraph_no_dir/state" : "kfgraph_state", 0444, NULL, &pm_ops);
	return pm_entry ? 0 : -ENOMEM;
}
static void __exit pm_exit(void) { proc_remove(pm_entry); }
module_init(pm_init); module_exit(pm_exit);

/* truth: {"error": -16, "birth": ["__register_chrdev_region", "__register_chrdev"], "chain": ["cb_init"]} the major number is taken */
#include "corpus.h"
static const struct file_operations cb_fops = { .owner = THIS_MODULE };
static noinline int cb_prepare(void) { a_little(); return 0; }
static int __init cb_init(void)
{
	int err = cb_prepare();
	if (err)
		return err;
	err = register_chrdev(fail ? 1 : 0, "kfgraph_cb", &cb_fops);
	return err < 0 ? err : 0;
}
static void __exit cb_exit(void) { unregister_chrdev(0, "kfgraph_cb"); }
module_init(cb_init); module_exit(cb_exit);

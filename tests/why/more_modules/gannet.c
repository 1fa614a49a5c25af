/* truth: {"error": -16, "birth": ["register_filesystem"], "chain": ["gannet_init"]} a file system of this name is there: the kernel refuses at once, and what was taken before is given back */
#include "corpus.h"
#include <linux/fs.h>
static void *store;
static struct file_system_type gannet_type = { .owner = THIS_MODULE, .name = "gannet" };
static struct file_system_type again_type = { .owner = THIS_MODULE, .name = "gannet" };
static struct file_system_type other_type = { .owner = THIS_MODULE, .name = "gannet2" };
static noinline int gannet_dive(struct file_system_type *t) { a_little(); return register_filesystem(t); }
static int __init gannet_init(void)
{
	int rc;
	store = kmalloc(512, GFP_KERNEL);
	if (!store)
		return -ENOMEM;
	rc = gannet_dive(&gannet_type);
	if (rc)
		goto drop;
	rc = gannet_dive(fail ? &again_type : &other_type);
	if (rc)
		goto leave;
	return 0;
leave:
	unregister_filesystem(&gannet_type);
drop:
	kfree(store);
	return rc;
}
static void __exit gannet_exit(void)
{
	unregister_filesystem(&other_type);
	unregister_filesystem(&gannet_type);
	kfree(store);
}
module_init(gannet_init); module_exit(gannet_exit);

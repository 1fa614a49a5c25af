/* truth: {"error": -16, "birth": ["misc_register"], "chain": ["mb_init", "mb_register"]} the minor number is taken */
#include "corpus.h"
#include <linux/miscdevice.h>
static const struct file_operations mb_fops = { .owner = THIS_MODULE };
static struct miscdevice mb_first = { .minor = 77, .name = "kfgraph_mb1", .fops = &mb_fops };
static struct miscdevice mb_second = { .minor = 78, .name = "kfgraph_mb2", .fops = &mb_fops };
static noinline int mb_register(void)
{
	int err = misc_register(&mb_first);
	if (err)
		return err;
	if (fail)
		mb_second.minor = 77;
	err = misc_register(&mb_second);
	if (err)
		misc_deregister(&mb_first);
	return err;
}
static int __init mb_init(void) { return mb_register(); }
static void __exit mb_exit(void) { misc_deregister(&mb_first); misc_deregister(&mb_second); }
module_init(mb_init); module_exit(mb_exit);

/* truth: {"error": -17, "error_alternatives": [-17, -16], "birth": ["genl_register_family"], "chain": ["gd_init"]} a netlink family of this name is there */
#include "corpus.h"
#include <net/genetlink.h>
static struct genl_family gd_one = { .name = "kfgraph_gd", .version = 1, .module = THIS_MODULE };
static struct genl_family gd_two = { .name = "kfgraph_gd", .version = 1, .module = THIS_MODULE };
static int __init gd_init(void)
{
	int err = genl_register_family(&gd_one);
	if (err || !fail)
		return err;
	err = genl_register_family(&gd_two);
	genl_unregister_family(&gd_one);
	return err;
}
static void __exit gd_exit(void) { genl_unregister_family(&gd_one); }
module_init(gd_init); module_exit(gd_exit);

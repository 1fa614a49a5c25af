/* truth: {"error": -17, "error_alternatives": [-17, -16], "birth": ["sysfs_create_dir_ns", "kernfs_add_one", "kernfs_create_dir_ns", "kernfs_link_sibling"], "chain": ["pd_init", "platform_device_add"]} a device of this name is there */
#include "corpus.h"
#include <linux/platform_device.h>
static struct platform_device *pd_first, *pd_second;
static noinline struct platform_device *pd_add(int id) { return platform_device_register_simple("kfgraph_pd", id, NULL, 0); }
static int __init pd_init(void)
{
	pd_first = pd_add(1);
	if (IS_ERR(pd_first))
		return PTR_ERR(pd_first);
	pd_second = pd_add(fail ? 1 : 2);
	if (IS_ERR(pd_second)) {
		platform_device_unregister(pd_first);
		return PTR_ERR(pd_second);
	}
	return 0;
}
static void __exit pd_exit(void) { platform_device_unregister(pd_first); platform_device_unregister(pd_second); }
module_init(pd_init); module_exit(pd_exit);

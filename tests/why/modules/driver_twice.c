/* truth: {"error": -16, "birth": ["driver_register"], "chain": ["dt_init"]} a driver of this name is registered */
#include "corpus.h"
#include <linux/platform_device.h>
static struct platform_driver dt_one = { .driver = { .name = "kfgraph_dt" } }, dt_two = { .driver = { .name = "kfgraph_dt" } };
static noinline int dt_register(struct platform_driver *d) { int err = platform_driver_register(d); a_little(); return err; }
static int __init dt_init(void)
{
	int err = dt_register(&dt_one);
	if (err || !fail)
		return err;
	err = dt_register(&dt_two);
	if (err)
		platform_driver_unregister(&dt_one);
	return err;
}
static void __exit dt_exit(void) { platform_driver_unregister(&dt_one); }
module_init(dt_init); module_exit(dt_exit);

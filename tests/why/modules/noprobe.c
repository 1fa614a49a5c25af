/* truth: {"error": 0, "birth": [], "chain": [], "never_ran": ["noprobe_probe"]} no device matches: the probe never runs */
#include "corpus.h"
#include <linux/platform_device.h>
static struct platform_device *noprobe_device;
static noinline int noprobe_power_on(void) { a_little(); return 0; }
static noinline int noprobe_probe(struct platform_device *pdev) { return noprobe_power_on(); }
static struct platform_driver noprobe_driver = { .probe = noprobe_probe, .driver = { .name = "kfgraph_noprobe" } };
static noinline int noprobe_check(void) { a_little(); return 0; }
static int __init noprobe_init(void)
{
	int err = noprobe_check() ?: platform_driver_register(&noprobe_driver);
	if (err)
		return err;
	noprobe_device = platform_device_register_simple(fail ? "kfgraph_other" : "kfgraph_noprobe", -1, NULL, 0);
	return PTR_ERR_OR_ZERO(noprobe_device);
}
static void __exit noprobe_exit(void)
{
	platform_device_unregister(noprobe_device);
	platform_driver_unregister(&noprobe_driver);
}
module_init(noprobe_init); module_exit(noprobe_exit);

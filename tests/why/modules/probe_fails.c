/* truth: {"error": 0, "birth": ["pf_power_on"], "chain": ["pf_probe"], "swallowed": ["pf_probe"]} insmod succeeds though the probe of its driver failed */
#include "corpus.h"
#include <linux/platform_device.h>
static struct platform_device *pf_device;
static noinline int pf_power_on(void) { a_little(); return fail ? -EREMOTEIO : 0; }
static noinline int pf_probe(struct platform_device *pdev) { int err = pf_power_on(); a_little(); return err; }
static struct platform_driver pf_driver = { .probe = pf_probe, .driver = { .name = "kfgraph_pf" } };
static int __init pf_init(void)
{
	int err = platform_driver_register(&pf_driver);
	if (err)
		return err;
	pf_device = platform_device_register_simple("kfgraph_pf", -1, NULL, 0);
	if (IS_ERR(pf_device)) {
		platform_driver_unregister(&pf_driver);
		return PTR_ERR(pf_device);
	}
	return 0;
}
static void __exit pf_exit(void) { platform_device_unregister(pf_device); platform_driver_unregister(&pf_driver); }
module_init(pf_init); module_exit(pf_exit);

/* truth: {"error": 0, "birth": [], "swallowed": ["pf_probe"]} a probe is put off: the kernel swallows -EPROBE_DEFER, and insmod succeeds */
#include <linux/platform_device.h>
#include "corpus.h"
static noinline int pf_get_supply(void) { a_little(); return fail ? -EPROBE_DEFER : 0; }
static int pf_probe(struct platform_device *at) { return pf_get_supply(); }
static struct platform_driver driver = { .probe = pf_probe, .driver = { .name = "probe_defer" } };
static struct platform_device *device;
static int __init pf_init(void)
{
	device = platform_device_register_simple("probe_defer", -1, NULL, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	return platform_driver_register(&driver);
}
static void __exit pf_exit(void) { platform_driver_unregister(&driver); platform_device_unregister(device); }
module_init(pf_init); module_exit(pf_exit);

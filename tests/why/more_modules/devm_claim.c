/* truth: {"error": 0, "birth": [], "swallowed": ["dc_probe"]} the second device wants the ports of the first: its probe fails, insmod succeeds */
#include <linux/ioport.h>
#include <linux/platform_device.h>
#include "corpus.h"
static noinline int dc_claim(struct platform_device *at)
{
	void *state = devm_kzalloc(&at->dev, 64, GFP_KERNEL);
	if (!state)
		return -ENOMEM;
	if (!devm_request_region(&at->dev, 0x2e0 + (fail ? 0 : 4 * at->id), 4, "devm_claim"))
		return -EBUSY;
	return 0;
}
static int dc_probe(struct platform_device *at) { return dc_claim(at); }
static struct platform_driver driver = { .probe = dc_probe, .driver = { .name = "devm_claim" } };
static struct platform_device *devices[2];
static int __init dc_init(void)
{
	devices[0] = platform_device_register_simple("devm_claim", 0, NULL, 0);
	devices[1] = platform_device_register_simple("devm_claim", 1, NULL, 0);
	return platform_driver_register(&driver);
}
static void __exit dc_exit(void)
{
	platform_driver_unregister(&driver);
	platform_device_unregister(devices[0]);
	platform_device_unregister(devices[1]);
}
module_init(dc_init); module_exit(dc_exit);

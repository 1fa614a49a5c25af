/* truth: {"error": -121, "birth": ["ep_read_chip"], "chain": ["ep_init", "ep_setup"]} the error goes through a function that reports it and returns it */
#include <linux/platform_device.h>
#include <linux/device.h>
#include "corpus.h"
static struct platform_device *device;
static noinline int ep_read_chip(int reg) { a_little(); return fail && reg == 2 ? -EREMOTEIO : reg; }
static noinline int ep_complain(int err, const char *what) { a_little(); pr_info("%s: %d\n", what, err); return err; }
static noinline int ep_setup(void)
{
	int reg, v;
	for (reg = 0; reg < 4; reg++) {
		v = ep_read_chip(reg);
		if (v < 0)
			return ep_complain(dev_err_probe(&device->dev, v, "no chip\n"), "setup");
	}
	return 0;
}
static int __init ep_init(void)
{
	int err;
	device = platform_device_register_simple("err_probe", -1, NULL, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	err = ep_setup();
	if (err)
		platform_device_unregister(device);
	return err;
}
static void __exit ep_exit(void) { platform_device_unregister(device); }
module_init(ep_init); module_exit(ep_exit);

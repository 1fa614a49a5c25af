/* truth: {"error": -2, "birth": ["gn_get_reset", "gpiod_get_index", "gpiod_find_and_request", "gpiod_find", "gpiod_get_index_optional", "gpiod_get", "gpiod_fwnode_lookup", "platform_gpio_count", "gpiod_find_lookup_table", "gpiod_find_by_fwnode"], "chain": ["gn_init", "gn_get_reset"]} no such line */
#include <linux/gpio/consumer.h>
#include <linux/platform_device.h>
#include "corpus.h"
static struct platform_device *device;
static noinline int gn_get_reset(void)
{
	struct gpio_desc *line = fail ? gpiod_get(&device->dev, "reset", GPIOD_OUT_LOW) :
		gpiod_get_optional(&device->dev, "reset", GPIOD_OUT_LOW);
	return PTR_ERR_OR_ZERO(line);
}
static int __init gn_init(void)
{
	int err;
	device = platform_device_register_simple("gpio_none", -1, NULL, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	err = gn_get_reset();
	if (err)
		platform_device_unregister(device);
	return err;
}
static void __exit gn_exit(void) { platform_device_unregister(device); }
module_init(gn_init); module_exit(gn_exit);

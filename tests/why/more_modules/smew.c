/* truth: {"error": -19, "birth": ["smew_dip", "smew_feed", "smew_probe", "__platform_driver_probe"], "chain": ["smew_init"]} a probe of a driver made by hand: an error deep below is another one above, and above that a third; the platform bus drops it and says -ENODEV of its own */
#include "corpus.h"
#include <linux/platform_device.h>
static noinline int smew_dip(int n) { a_little(); return fail && n == 1 ? -ETIMEDOUT : 0; }
static noinline int smew_feed(void)
{
	int rc = smew_dip(0);
	if (!rc)
		rc = smew_dip(1);
	return rc ? -EIO : 0;
}
static int smew_probe(struct platform_device *pdev) { return smew_feed() ? -ENODEV : 0; }
static struct platform_driver smew_driver = { .driver = { .name = "smew" } };
static struct platform_device *pond;
static int __init smew_init(void)
{
	pond = platform_create_bundle(&smew_driver, smew_probe, NULL, 0, NULL, 0);
	return PTR_ERR_OR_ZERO(pond);
}
static void __exit smew_exit(void) { platform_device_unregister(pond); platform_driver_unregister(&smew_driver); }
module_init(smew_init); module_exit(smew_exit);

/* truth: {"error": -75, "birth": ["dunlin_step"], "chain": ["dunlin_init"]} the kernel walks the devices of a bus and calls back; the second call refuses */
#include "corpus.h"
#include <linux/platform_device.h>
static struct platform_device *flock[3];
static int taken;
static noinline int dunlin_step(struct device *dev, void *data)
{
	a_little();
	taken++;
	return fail && taken == 2 ? -EOVERFLOW : 0;
}
static noinline int dunlin_walk(void) { return bus_for_each_dev(&platform_bus_type, NULL, NULL, dunlin_step); }
static void dunlin_away(int n) { while (--n >= 0) platform_device_unregister(flock[n]); }
static int __init dunlin_init(void)
{
	int i, rc;
	for (i = 0; i < 3; i++) {
		flock[i] = platform_device_register_simple("dunlin", i, NULL, 0);
		if (IS_ERR(flock[i])) {
			rc = PTR_ERR(flock[i]);
			goto out;
		}
	}
	rc = dunlin_walk();
	if (!rc)
		return 0;
out:
	dunlin_away(i);
	return rc;
}
static void __exit dunlin_exit(void) { dunlin_away(3); }
module_init(dunlin_init); module_exit(dunlin_exit);

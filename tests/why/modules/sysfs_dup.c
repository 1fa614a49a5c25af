/* truth: {"error": -17, "error_alternatives": [-17, -16], "birth": ["kernfs_add_one", "kernfs_link_sibling"], "chain": ["sd_init"]} a file of this name is there */
#include "corpus.h"
#include <linux/kobject.h>
#include <linux/sysfs.h>
static struct kobject *sd_kobj;
static ssize_t sd_show(struct kobject *k, struct kobj_attribute *a, char *buf) { return 0; }
static struct kobj_attribute sd_attr = __ATTR(level, 0444, sd_show, NULL);
static int __init sd_init(void)
{
	int err;
	sd_kobj = kobject_create_and_add("kfgraph_sd", kernel_kobj);
	if (!sd_kobj)
		return -ENOMEM;
	err = sysfs_create_file(sd_kobj, &sd_attr.attr);
	if (!err && fail)
		err = sysfs_create_file(sd_kobj, &sd_attr.attr);
	if (err)
		kobject_put(sd_kobj);
	return err;
}
static void __exit sd_exit(void) { kobject_put(sd_kobj); }
module_init(sd_init); module_exit(sd_exit);

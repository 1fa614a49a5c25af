/* truth: {"error": -17, "birth": ["kobject_add_internal", "sysfs_create_dir_ns", "kernfs_add_one", "kernfs_create_dir_ns", "kernfs_link_sibling"], "chain": ["kd_init", "kd_add"]} an object of this name is there */
#include <linux/kobject.h>
#include "corpus.h"
static struct kobject *top;
static struct kobject objects[2];
static void kd_done(struct kobject *at) { a_little(); }
static const struct kobj_type type = { .release = kd_done, .sysfs_ops = &kobj_sysfs_ops };
static noinline int kd_add(int n)
{
	int err = kobject_init_and_add(&objects[n], (struct kobj_type *)&type, top, "part%d", fail ? 0 : n);
	if (err)
		kobject_put(&objects[n]);
	return err;
}
static int __init kd_init(void)
{
	int err;
	top = kobject_create_and_add("kobject_dup", kernel_kobj);
	if (!top)
		return -ENOMEM;
	err = kd_add(0);
	if (err)
		goto none;
	err = kd_add(1);
	if (!err)
		return 0;
	kobject_put(&objects[0]);
none:
	kobject_put(top);
	return err;
}
static void __exit kd_exit(void) { kobject_put(&objects[1]); kobject_put(&objects[0]); kobject_put(top); }
module_init(kd_init); module_exit(kd_exit);

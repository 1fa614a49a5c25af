/* SPDX-License-Identifier: GPL-2.0 */
/* Loads, and refuses what is written to its file in sysfs if it is too large. fail_function can make it refuse anything. */
#include "corpus.h"
#include <linux/error-injection.h>
#include <linux/kobject.h>
#include <linux/sysfs.h>
static struct kobject *gate_kobj;
static int level;
static noinline int gate_limit(int value) { a_little(); return value > 5 ? -EDOM : 0; }
ALLOW_ERROR_INJECTION(gate_limit, ERRNO);
static noinline int gate_apply(int value)
{
	int err = gate_limit(value);
	if (err)
		return err;
	a_little();
	level = value;
	return 0;
}
static ssize_t level_show(struct kobject *k, struct kobj_attribute *a, char *buf) { return sysfs_emit(buf, "%d\n", level); }
static ssize_t level_store(struct kobject *k, struct kobj_attribute *a, const char *buf, size_t count)
{
	int value, err = kstrtoint(buf, 0, &value);
	if (!err)
		err = gate_apply(value);
	return err ? err : count;
}
static struct kobj_attribute gate_level = __ATTR(level, 0644, level_show, level_store);
static int __init gate_init(void)
{
	int err;
	gate_kobj = kobject_create_and_add("kfgraph_gate", kernel_kobj);
	if (!gate_kobj)
		return -ENOMEM;
	err = sysfs_create_file(gate_kobj, &gate_level.attr);
	if (err)
		kobject_put(gate_kobj);
	return err;
}
static void __exit gate_exit(void) { kobject_put(gate_kobj); }
module_init(gate_init); module_exit(gate_exit);

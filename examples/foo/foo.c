// SPDX-License-Identifier: GPL-2.0
/*
 * foo: a module to try kfgraph on. Its init does what a small driver's does: allocate, probe four
 * slots, register, wait a little. The parameter `fail` makes one step return an error:
 *
 *	fail=12  foo_alloc() gives -ENOMEM
 *	fail=16  foo_register() gives -EBUSY
 *	fail=19  foo_read_id(2) gives -ENODEV, three calls below init
 *
 * The error is passed up unchanged and nothing is printed: dmesg stays silent, and insmod says no
 * more than strerror(). `kfgraph show` says which function it came from.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>

#define FOO_SLOTS 4

static int fail;
module_param(fail, int, 0444);
MODULE_PARM_DESC(fail, "errno of the step that is to fail: 12, 16 or 19 (0: none)");

static void *buffer;

static const struct file_operations foo_fops = {
	.owner = THIS_MODULE,
};

static struct miscdevice foo_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "foo",
	.fops = &foo_fops,
};

static noinline void *foo_alloc(size_t size)
{
	void *p = kzalloc(size, GFP_KERNEL);

	if (p && fail == ENOMEM) {
		kfree(p);
		p = NULL;
	}
	return p ? p : ERR_PTR(-ENOMEM);
}

static noinline int foo_read_id(int slot)
{
	udelay(5);
	if (fail == ENODEV && slot == 2)
		return -ENODEV;
	return 0x42 + slot;
}

static noinline int foo_probe_slot(int slot)
{
	int id = foo_read_id(slot);

	return id < 0 ? id : 0;
}

static noinline int foo_probe(void)
{
	int slot, err;

	for (slot = 0; slot < FOO_SLOTS; slot++) {
		err = foo_probe_slot(slot);
		if (err)
			return err;
	}
	return 0;
}

static noinline int foo_register(void)
{
	if (fail == EBUSY)
		return -EBUSY;
	return misc_register(&foo_device);
}

static noinline void foo_teardown(void)
{
	kfree(buffer);
	buffer = NULL;
}

static int __init foo_init(void)
{
	int err;

	buffer = foo_alloc(4096);
	if (IS_ERR(buffer)) {
		err = PTR_ERR(buffer);
		buffer = NULL;
		return err;
	}
	err = foo_probe();
	if (!err)
		err = foo_register();
	if (err) {
		foo_teardown();
		return err;
	}
	msleep(3);
	return 0;
}

static void __exit foo_exit(void)
{
	misc_deregister(&foo_device);
	foo_teardown();
}

module_init(foo_init);
module_exit(foo_exit);
MODULE_DESCRIPTION("A module that fails on request, to be traced by kfgraph");
MODULE_LICENSE("GPL");

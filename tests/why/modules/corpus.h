/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the modules of this corpus share. Each fails in one way when loaded with fail=1 and loads with fail=0.
 * A line "truth:" in each says, as JSON, where the error is born: "error" is what the system call returns (0: it
 * succeeds all the same), "birth" the functions that are right, "chain" functions that must be on the way.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

static int fail;
module_param(fail, int, 0444);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("kfgraph corpus");

/* Something that takes a little, so that functions are not empty. */
static __always_inline void a_little(void)
{
	udelay(2);
}

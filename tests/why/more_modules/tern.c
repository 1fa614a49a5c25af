/* truth: {"error": -63, "birth": ["tern_third"], "chain": ["tern_init"]} three steps, the third fails; what is undone after it says -EINVAL and -EBUSY, which nobody reads */
#include "corpus.h"
#include <linux/fs.h>
static int major_nr;
static void *nest;
static const struct file_operations tern_fops = { .owner = THIS_MODULE };
static noinline int tern_first(void) { nest = kzalloc(96, GFP_KERNEL); return nest ? 0 : -ENOMEM; }
static noinline int tern_second(void) { major_nr = register_chrdev(0, "tern", &tern_fops); return major_nr < 0 ? major_nr : 0; }
static noinline int tern_third(void) { a_little(); return fail ? -ENOSR : 0; }
static noinline int tern_b(void) { a_little(); unregister_chrdev(major_nr, "tern"); return fail ? -EINVAL : 0; }
static noinline int tern_a(void) { kfree(nest); nest = NULL; a_little(); return fail ? -EBUSY : 0; }
static int __init tern_init(void)
{
	int rc = tern_first();
	if (rc)
		goto none;
	rc = tern_second();
	if (rc)
		goto one;
	rc = tern_third();
	if (rc)
		goto two;
	return 0;
two:
	tern_b();
one:
	tern_a();
none:
	return rc;
}
static void __exit tern_exit(void) { tern_b(); tern_a(); }
module_init(tern_init); module_exit(tern_exit);

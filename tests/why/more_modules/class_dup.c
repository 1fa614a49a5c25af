/* truth: {"error": -17, "birth": ["kobject_add_internal", "sysfs_create_dir_ns", "kernfs_add_one", "kernfs_create_dir_ns", "kernfs_link_sibling", "kset_register"], "chain": ["cl_init", "cl_register"]} a class of this name is there */
#include <linux/device.h>
#include <linux/version.h>
#include "corpus.h"
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define new_class(name) class_create(THIS_MODULE, name)
#else
#define new_class(name) class_create(name)
#endif
static struct class *one;
static noinline int cl_register(void) { one = new_class(fail ? "tty" : "cl_class"); return PTR_ERR_OR_ZERO(one); }
static int __init cl_init(void) { return cl_register(); }
static void __exit cl_exit(void) { class_destroy(one); }
module_init(cl_init); module_exit(cl_exit);

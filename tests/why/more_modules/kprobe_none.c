/* truth: {"error": -2, "birth": ["kn_watch", "register_kprobe", "_kprobe_addr", "kprobe_addr", "kprobe_lookup_name", "register_kretprobe"], "chain": ["kn_init", "kn_watch"]} a probe on a function that is not there */
#include <linux/kprobes.h>
#include "corpus.h"
static struct kprobe one;
static noinline int kn_watch(const char *name) { one.symbol_name = name; return register_kprobe(&one); }
static noinline int kn_count(void) { a_little(); return 3; }
static int __init kn_init(void)
{
	int err = kn_watch(fail ? "kprobe_none_nowhere" : "vfs_fsync");
	if (err)
		kn_count();
	return err;
}
static void __exit kn_exit(void) { unregister_kprobe(&one); }
module_init(kn_init); module_exit(kn_exit);

/* truth: {"error": -111, "birth": ["kn_connect"], "chain": ["kn_init", "kn_open_link"]} the error comes after a sleep and a lock */
#include "corpus.h"
#include <linux/mutex.h>
static DEFINE_MUTEX(kn_lock);
static noinline int kn_connect(void) { msleep(2); return fail ? -ECONNREFUSED : 0; }
static noinline int kn_open_link(void)
{
	int err;
	mutex_lock(&kn_lock);
	err = kn_connect();
	mutex_unlock(&kn_lock);
	return err;
}
static int __init kn_init(void) { int err = kn_open_link(); msleep(2); return err; }
static void __exit kn_exit(void) { a_little(); }
module_init(kn_init); module_exit(kn_exit);

/* truth: {"error": -99, "birth": ["nt_veto"], "chain": ["nt_init"]} a callback that the kernel calls refuses */
#include "corpus.h"
#include <linux/notifier.h>
static BLOCKING_NOTIFIER_HEAD(nt_chain);
static noinline int nt_veto(struct notifier_block *nb, unsigned long event, void *data)
{
	a_little();
	return fail ? notifier_from_errno(-EADDRNOTAVAIL) : NOTIFY_OK;
}
static struct notifier_block nt_block = { .notifier_call = nt_veto };
static int __init nt_init(void)
{
	int err;
	blocking_notifier_chain_register(&nt_chain, &nt_block);
	err = notifier_to_errno(blocking_notifier_call_chain(&nt_chain, 1, NULL));
	blocking_notifier_chain_unregister(&nt_chain, &nt_block);
	return err;
}
static void __exit nt_exit(void) { a_little(); }
module_init(nt_init); module_exit(nt_exit);

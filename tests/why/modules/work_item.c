/* truth: {"error": -121, "birth": ["wi_run", "wi_init"], "chain": ["wi_init"]} the error is born in a work item and carried over */
#include "corpus.h"
#include <linux/completion.h>
#include <linux/workqueue.h>
static DECLARE_COMPLETION(wi_done);
static int wi_err;
static noinline int wi_transfer(void) { a_little(); return fail ? -EREMOTEIO : 0; }
static void wi_run(struct work_struct *work) { wi_err = wi_transfer(); complete(&wi_done); }
static DECLARE_WORK(wi_work, wi_run);
static int __init wi_init(void)
{
	schedule_work(&wi_work);
	wait_for_completion(&wi_done);
	return wi_err;
}
static void __exit wi_exit(void) { flush_work(&wi_work); }
module_init(wi_init); module_exit(wi_exit);

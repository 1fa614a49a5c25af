/* truth: {"error": -67, "birth": ["oxbow_silt", "oxbow_ask"], "chain": ["oxbow_init"]} a work item of a queue of its own writes the error into what it was embedded in; whoever queued it flushes, and reads it */
#include "corpus.h"
#include <linux/workqueue.h>
struct oxbow { struct work_struct turn; int depth; int rc; };
static struct workqueue_struct *river;
static noinline int oxbow_silt(int depth) { a_little(); return depth > 2 ? -ENOLINK : 0; }
static noinline int oxbow_flow(struct oxbow *o)
{
	int i, rc = 0;
	for (i = 0; i <= o->depth && !rc; i++)
		rc = oxbow_silt(i);
	return rc;
}
static void oxbow_turn(struct work_struct *w)
{
	struct oxbow *o = container_of(w, struct oxbow, turn);
	o->rc = oxbow_flow(o);
}
static noinline int oxbow_ask(struct oxbow *o)
{
	INIT_WORK_ONSTACK(&o->turn, oxbow_turn);
	queue_work(river, &o->turn);
	flush_work(&o->turn);
	destroy_work_on_stack(&o->turn);
	return o->rc;
}
static int __init oxbow_init(void)
{
	struct oxbow o = { .depth = fail ? 5 : 2 };
	int rc;
	river = alloc_workqueue("oxbow", 0, 0);
	if (!river)
		return -ENOMEM;
	rc = oxbow_ask(&o);
	if (rc)
		destroy_workqueue(river);
	return rc;
}
static void __exit oxbow_exit(void) { destroy_workqueue(river); }
module_init(oxbow_init); module_exit(oxbow_exit);

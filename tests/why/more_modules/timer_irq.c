/* truth: {"error": -71, "birth": ["ti_expired", "ti_init", "ti_wait"], "chain": ["ti_init"]} an interrupt (a timer) makes the error, and the module waits for it */
#include <linux/completion.h>
#include <linux/timer.h>
#include "corpus.h"
static int result;
static DECLARE_COMPLETION(done);
static void ti_expired(struct timer_list *t) { result = fail ? -EPROTO : 0; complete(&done); }
static DEFINE_TIMER(watch, ti_expired);
static noinline int ti_wait(void) { wait_for_completion(&done); return result; }
static int __init ti_init(void) { mod_timer(&watch, jiffies + 1); return ti_wait(); }
static void __exit ti_exit(void) { a_little(); }
module_init(ti_init); module_exit(ti_exit);

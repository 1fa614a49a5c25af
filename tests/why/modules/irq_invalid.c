/* truth: {"error": -22, "birth": ["request_threaded_irq", "irq_to_desc"], "chain": ["ii_init", "ii_attach"]} no such interrupt */
#include "corpus.h"
#include <linux/interrupt.h>
static irqreturn_t ii_handler(int irq, void *data) { return IRQ_NONE; }
static noinline int ii_attach(void) { return fail ? request_irq(99999, ii_handler, 0, "kfgraph_ii", &fail) : 0; }
static int __init ii_init(void) { return ii_attach(); }
static void __exit ii_exit(void) { a_little(); }
module_init(ii_init); module_exit(ii_exit);

/* SPDX-License-Identifier: GPL-2.0 */
/* Needs a symbol that is nowhere: the loader refuses it. make ... KBUILD_MODPOST_WARN=1 */
#include <linux/module.h>
int kfgraph_nowhere(void);
static int __init unresolved_init(void) { return kfgraph_nowhere(); }
module_init(unresolved_init);
MODULE_LICENSE("GPL");

/* truth: {"error": -17, "error_alternatives": [-17, -16], "birth": ["dev_get_valid_name", "register_netdevice", "__dev_alloc_name", "dev_alloc_name_ns", "dev_prep_valid_name"], "chain": ["nd_init", "nd_add"]} a network interface of this name is there */
#include "corpus.h"
#include <linux/netdevice.h>
#include <linux/etherdevice.h>
static struct net_device *nd_dev;
static const struct net_device_ops nd_ops = { };
static noinline int nd_add(const char *name)
{
	int err;
	nd_dev = alloc_etherdev(0);
	if (!nd_dev)
		return -ENOMEM;
	nd_dev->netdev_ops = &nd_ops;
	strscpy(nd_dev->name, name, IFNAMSIZ);
	err = register_netdev(nd_dev);
	if (err)
		free_netdev(nd_dev);
	return err;
}
static int __init nd_init(void) { return nd_add(fail ? "lo" : "kfgraph_nd"); }
static void __exit nd_exit(void) { unregister_netdev(nd_dev); free_netdev(nd_dev); }
module_init(nd_init); module_exit(nd_exit);

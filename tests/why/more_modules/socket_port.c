/* truth: {"error": -98, "birth": ["inet_csk_get_port", "inet_csk_bind_conflict", "__inet_bind", "inet_bind", "inet_bind_sk", "kernel_bind", "inet_bind_conflict", "inet_bhash2_conflict"], "chain": ["sp_init", "sp_listen"]} the port is in use */
#include <linux/in.h>
#include <linux/net.h>
#include <net/net_namespace.h>
#include "corpus.h"
static struct socket *first, *second;
static noinline int sp_listen(struct socket **at, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY) };
	int err = sock_create_kern(&init_net, PF_INET, SOCK_STREAM, IPPROTO_TCP, at);
	if (err)
		return err;
	err = kernel_bind(*at, (void *)&to, sizeof(to));
	if (!err)
		err = kernel_listen(*at, 1);
	if (err) {
		sock_release(*at);
		*at = NULL;
	}
	return err;
}
static int __init sp_init(void)
{
	int err = sp_listen(&first, 4712);
	if (err)
		return err;
	err = sp_listen(&second, fail ? 4712 : 4713);
	if (err)
		sock_release(first);
	return err;
}
static void __exit sp_exit(void) { sock_release(second); sock_release(first); }
module_init(sp_init); module_exit(sp_exit);

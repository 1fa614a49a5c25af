/* truth: {"error": -34, "birth": ["ps_set_level"], "chain": ["parse_args"], "params": "level=99", "twin": "level=3"} a parameter's own check refuses it */
#include "corpus.h"
static int ps_level;
static noinline int ps_set_level(const char *val, const struct kernel_param *kp)
{
	ps_level = val[0] - '0';
	a_little();
	return val[0] == '9' ? -ERANGE : 0;
}
static const struct kernel_param_ops ps_ops = { .set = ps_set_level, .get = param_get_int };
module_param_cb(level, &ps_ops, &ps_level, 0444);
static int __init ps_init(void) { a_little(); return 0; }
static void __exit ps_exit(void) { a_little(); }
module_init(ps_init); module_exit(ps_exit);

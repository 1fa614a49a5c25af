/* truth: {"error": -74, "birth": ["sf_finish", "sf_parse"], "chain": ["sf_init", "sf_finish"]} the error is kept in a structure and returned later */
#include "corpus.h"
struct sf { int err; };
static noinline void sf_parse(struct sf *s, int n) { a_little(); if (fail && n == 1) s->err = -EBADMSG; }
static noinline void sf_skip(struct sf *s) { a_little(); }
static noinline int sf_finish(struct sf *s) { a_little(); return s->err; }
static int __init sf_init(void)
{
	struct sf s = { 0 };
	sf_parse(&s, 0); sf_parse(&s, 1); sf_skip(&s);
	return sf_finish(&s);
}
static void __exit sf_exit(void) { a_little(); }
module_init(sf_init); module_exit(sf_exit);

/* truth: {"error": -84, "birth": ["larch_weigh", "larch_round"], "chain": ["larch_init"]} the error comes out of an int pointer; the function returns nothing */
#include "corpus.h"
struct bough { u32 mass; u32 girth; };
static noinline void larch_weigh(const struct bough *b, u32 *sum, int *rc)
{
	a_little();
	if (b->mass > 100) {
		*rc = -EILSEQ;
		return;
	}
	*sum += b->mass;
	*rc = 0;
}
static noinline int larch_round(const struct bough *all, int n, u32 *sum)
{
	int i, rc = 0;
	for (i = 0; i < n; i++) {
		larch_weigh(&all[i], sum, &rc);
		if (rc)
			break;
	}
	return rc;
}
static int __init larch_init(void)
{
	struct bough all[] = { { 10, 1 }, { 40, 2 }, { fail ? 400 : 4, 3 }, { 7, 4 } };
	u32 sum = 0;
	int rc = larch_round(all, ARRAY_SIZE(all), &sum);
	if (rc)
		return rc;
	a_little();
	return 0;
}
static void __exit larch_exit(void) { a_little(); }
module_init(larch_init); module_exit(larch_exit);

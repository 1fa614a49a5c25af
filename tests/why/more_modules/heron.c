/* truth: {"error": -126, "birth": ["heron_nth", "heron_perch"], "chain": ["heron_init"]} NULL of a function means "take the default" twice and is an error the third time */
#include "corpus.h"
struct reed { int key; int height; };
static const struct reed reeds[] = { { 11, 1 }, { 12, 2 }, { 14, 4 } };
static const struct reed fallback = { 0, 9 };
static noinline const struct reed *heron_nth(int key)
{
	int i;
	a_little();
	for (i = 0; i < ARRAY_SIZE(reeds); i++)
		if (reeds[i].key == key)
			return &reeds[i];
	return NULL;
}
static noinline int heron_height(int key)
{
	const struct reed *r = heron_nth(key);
	a_little();
	return r ? r->height : fallback.height;
}
static noinline int heron_perch(int key)
{
	const struct reed *r = heron_nth(key);
	if (!r)
		return -ENOKEY;
	a_little();
	return 0;
}
static int __init heron_init(void)
{
	int sum = heron_height(21) + heron_height(22) + heron_height(11);
	return sum ? heron_perch(fail ? 13 : 14) : -EINVAL;
}
static void __exit heron_exit(void) { a_little(); }
module_init(heron_init); module_exit(heron_exit);

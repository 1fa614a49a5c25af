/* truth: {"error": -33, "birth": ["st_level_store", "st_apply"], "chain": ["st_init", "st_walk"]} a handler behind a table of functions, the third of them, refuses */
#include "corpus.h"
struct st_op { const char *name; int (*run)(int value); };
static noinline int st_apply(int value) { a_little(); return fail && value > 2 ? -EDOM : 0; }
static noinline int st_name_store(int value) { a_little(); return 0; }
static noinline int st_mode_store(int value) { return st_apply(value); }
static noinline int st_level_store(int value) { return st_apply(value); }
static const struct st_op ops[] = { { "name", st_name_store }, { "mode", st_mode_store }, { "level", st_level_store }, { "last", st_name_store } };
static noinline int st_walk(void)
{
	int i, err;
	for (i = 0; i < 4; i++) {
		err = ops[i].run(i + 1);
		if (err)
			break;
	}
	if (i < 4)
		while (--i >= 0)
			ops[i].run(0);
	return err;
}
static int __init st_init(void) { return st_walk(); }
static void __exit st_exit(void) { a_little(); }
module_init(st_init); module_exit(st_exit);

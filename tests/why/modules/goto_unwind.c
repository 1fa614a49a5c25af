/* truth: {"error": -28, "birth": ["gu_step_four"], "chain": ["gu_init"]} a long unwinding, each step of which returns something */
#include "corpus.h"
static noinline int gu_step_one(void) { a_little(); return 0; }
static noinline int gu_step_two(void) { a_little(); return 0; }
static noinline int gu_step_three(void) { a_little(); return 0; }
static noinline int gu_step_four(void) { a_little(); return fail ? -ENOSPC : 0; }
static noinline int gu_undo_three(void) { a_little(); return 0; }
static noinline int gu_undo_two(void) { a_little(); return 1; }
static noinline int gu_undo_one(void) { a_little(); return 0; }
static int __init gu_init(void)
{
	int err;
	err = gu_step_one();
	if (err)
		return err;
	err = gu_step_two();
	if (err)
		goto one;
	err = gu_step_three();
	if (err)
		goto two;
	err = gu_step_four();
	if (!err)
		return 0;
	gu_undo_three();
two:
	gu_undo_two();
one:
	gu_undo_one();
	return err;
}
static void __exit gu_exit(void) { gu_undo_three(); gu_undo_two(); gu_undo_one(); }
module_init(gu_init); module_exit(gu_exit);

/* truth: {"error": -16, "birth": ["cm_unmap_window"], "chain": ["cm_init", "cm_back_out"]} the error of the clean-up is returned instead of the first */
#include "corpus.h"
static noinline int cm_map_window(void) { a_little(); return fail ? -EIO : 0; }
static noinline int cm_unmap_window(void) { a_little(); return -EBUSY; }
static noinline int cm_back_out(void) { int err = cm_unmap_window(); a_little(); return err; }
static int __init cm_init(void)
{
	int err = cm_map_window();
	if (err)
		err = cm_back_out();
	return err;
}
static void __exit cm_exit(void) { a_little(); }
module_init(cm_init); module_exit(cm_exit);

/* truth: {"error": -2, "birth": ["fb_open_second"], "chain": ["fb_init"]} the first way fails with the same error, then the second */
#include "corpus.h"
static noinline int fb_open_first(void) { a_little(); return -ENOENT; }
static noinline int fb_open_second(void) { a_little(); return fail ? -ENOENT : 0; }
static noinline int fb_open(void) { int err = fb_open_first(); if (err == -ENOENT) err = fb_open_second(); return err; }
static int __init fb_init(void) { return fb_open(); }
static void __exit fb_exit(void) { a_little(); }
module_init(fb_init); module_exit(fb_exit);

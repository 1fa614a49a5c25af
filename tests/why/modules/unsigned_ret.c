/* truth: {"error": -71, "birth": ["ur_handshake"], "chain": ["ur_init"]} an unsigned function returns what looks like an error before it */
#include "corpus.h"
static noinline u32 ur_read_crc(void) { a_little(); return 0xffffffb9; }
static noinline int ur_handshake(u32 crc) { a_little(); return fail ? -EPROTO : 0; }
static int __init ur_init(void) { return ur_handshake(ur_read_crc()); }
static void __exit ur_exit(void) { a_little(); }
module_init(ur_init); module_exit(ur_exit);

/* truth: {"error": -2, "birth": ["crypto_alg_mod_lookup", "crypto_larval_lookup", "crypto_alloc_tfm_node", "crypto_larval_wait"], "chain": ["cn_init", "crypto_alloc_shash"]} no such algorithm */
#include "corpus.h"
#include <crypto/hash.h>
static noinline struct crypto_shash *cn_get(void) { return crypto_alloc_shash(fail ? "kfgraph-none" : "sha256", 0, 0); }
static struct crypto_shash *cn_hash;
static int __init cn_init(void)
{
	cn_hash = cn_get();
	return PTR_ERR_OR_ZERO(cn_hash);
}
static void __exit cn_exit(void) { crypto_free_shash(cn_hash); }
module_init(cn_init); module_exit(cn_exit);

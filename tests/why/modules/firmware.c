/* truth: {"error": -2, "birth": ["fw_get_filesystem_firmware", "kernel_read_file_from_path_initns", "filp_open", "file_open_root", "path_openat", "link_path_walk", "do_file_open_root", "do_filp_open", "fw_get_builtin_firmware", "_request_firmware", "open_last_lookups", "step_into", "step_into_slowpath", "walk_component"], "chain": ["fw_init", "fw_load"]} the firmware file is missing */
#include "corpus.h"
#include <linux/firmware.h>
#include <linux/platform_device.h>
static struct platform_device *fw_dev;
static noinline int fw_load(void)
{
	const struct firmware *fw;
	int err = request_firmware_direct(&fw, fail ? "kfgraph/none.bin" : "kfgraph/none.bin", &fw_dev->dev);
	if (!err)
		release_firmware(fw);
	return fail ? err : 0;
}
static int __init fw_init(void)
{
	int err;
	fw_dev = platform_device_register_simple("kfgraph_fw", -1, NULL, 0);
	if (IS_ERR(fw_dev))
		return PTR_ERR(fw_dev);
	err = fw_load();
	if (err)
		platform_device_unregister(fw_dev);
	return err;
}
static void __exit fw_exit(void) { platform_device_unregister(fw_dev); }
module_init(fw_init); module_exit(fw_exit);

"""Every format read by something that is not ours, or by a few lines that know only the format."""

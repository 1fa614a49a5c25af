"""What is known about kernels and modules, not about a trace."""

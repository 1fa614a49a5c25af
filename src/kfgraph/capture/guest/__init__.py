"""The same recording in a throwaway virtual machine, which is made of this machine's own files."""

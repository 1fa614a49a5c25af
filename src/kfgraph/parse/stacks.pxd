# The C side of stacks.py: what its loop calls.

cpdef int abandon(
    int node,
    int lane,
    object lanes,
    int[::1] lane_root,
    short[::1] c_depth,
    int[::1] c_parent,
    int[::1] c_previous,
    int[::1] c_last,
    unsigned int[::1] c_flags,
) except -2


cdef bint is_open(
    int func,
    int depth,
    int node,
    int[::1] c_func,
    short[::1] c_depth,
    int[::1] c_parent,
) except -1

# The C side of columns.py: types of attributes and methods.

cdef class Columns:
    cdef object lanes
    # Records.
    cdef unsigned char[::1] kind
    cdef int[::1] func
    cdef int[::1] pid
    cdef short[::1] cpu
    cdef long long[::1] time
    cdef short[::1] depth
    cdef unsigned char[::1] context
    cdef long long[::1] duration
    cdef long long[::1] calltime
    cdef long long[::1] retval
    cdef int[::1] caller
    cdef int[::1] arg
    # Nodes.
    cdef readonly int n_nodes
    cdef bint has_retval
    cdef bint has_caller
    cdef bint has_arg
    cdef int[::1] c_func
    cdef int[::1] c_lane
    cdef short[::1] c_cpu
    cdef short[::1] c_exit_cpu
    cdef long long[::1] c_start
    cdef long long[::1] c_duration
    cdef long long[::1] c_call
    cdef short[::1] c_depth
    cdef int[::1] c_parent
    cdef int[::1] c_previous
    cdef int[::1] c_first
    cdef unsigned char[::1] c_context
    cdef unsigned int[::1] c_flags
    cdef int[::1] c_last
    cdef long long[::1] c_retval
    cdef int[::1] c_caller
    cdef int[::1] c_arg
    # Places.
    cdef readonly Py_ssize_t n_places
    cdef long long[::1] p_time
    cdef short[::1] p_cpu
    cdef int[::1] p_lane
    cdef long long[::1] p_what
    cdef int[::1] p_last
    cdef int[::1] p_parent
    cdef unsigned char[::1] p_is_loss
    # Lanes and CPUs.
    cdef int[::1] lane_top
    cdef int[::1] lane_root
    cdef int[::1] lane_cpu
    cdef int[::1] lane_last
    cdef long long[::1] lane_time
    cdef int[::1] lane_gaps
    cdef long long[::1] lane_gap_end
    cdef long long[::1] cpu_pid
    cdef int[::1] cpu_lane
    cdef long long[::1] cpu_time
    cdef long long[::1] cpu_gap_end
    cdef int[::1] cpu_gaps
    cdef int[::1] cpu_in_gap

    cdef int see_lanes(self) except -1
    cdef int place(self, Py_ssize_t i, int lane, int top, long long what, bint is_loss) except -1
    cdef bint is_open(self, int func, int depth, int node) except -1

# The C side of scan.py: types of attributes and methods.

from kfgraph.parse.scan_pieces cimport Pieces


cdef class Scanner(Pieces):
    cdef dict names
    cdef dict sites
    cdef dict events
    cdef dict comms
    cdef dict former_comms
    cdef bytes last_comm
    cdef bytearray mark_text
    cdef object mark_ends
    cdef bytearray arg_text
    cdef object arg_ends
    # Counts for notices.
    cdef long long n_lines
    cdef long long n_unread
    cdef long long n_coarse
    cdef long long n_calls
    cdef long long n_retvals
    cdef long long n_callers
    cdef long long n_timeless
    cdef long long n_cpus
    cdef bint ticks
    cdef bytes first_unread
    cdef long long n_likely
    cdef bytes first_likely
    # The line at hand.
    cdef bint in_mark
    cdef bint headed
    cdef bint open_mark
    cdef int pid
    cdef int cpu
    cdef int depth
    cdef int context
    cdef long long duration
    cdef long long calltime
    cdef long long retval
    cdef int caller
    cdef int arg
    cdef int func
    cdef Py_ssize_t dash
    cdef int last_pid
    # The batch.
    cdef Py_ssize_t n
    cdef Py_ssize_t size
    cdef object batch
    cdef object sink
    cdef unsigned char[:] c_kind
    cdef int[:] c_func
    cdef int[:] c_pid
    cdef short[:] c_cpu
    cdef long long[:] c_time
    cdef short[:] c_depth
    cdef unsigned char[:] c_context
    cdef long long[:] c_duration
    cdef long long[:] c_calltime
    cdef long long[:] c_retval
    cdef int[:] c_caller
    cdef int[:] c_arg

    cpdef bint line(self, Py_ssize_t start, Py_ssize_t end)
    cdef int clear(self)
    cdef int row(self, int kind)
    cdef int mark(self, bytes name, bytes text)
    cdef int name(self, bytes text)
    cdef int function(self, bytes text)
    cdef int site(self, bytes caller, bytes offset)
    cdef int comm(self, Py_ssize_t start, Py_ssize_t end)
    cdef Py_ssize_t duration_column(self, Py_ssize_t i)
    cdef bint body(self, Py_ssize_t i, Py_ssize_t end, int margin)
    cdef int arguments(self, Py_ssize_t begin, Py_ssize_t end)
    cdef int tail(self, Py_ssize_t i, Py_ssize_t end, bint is_exit)
    cdef Py_ssize_t remark(self, Py_ssize_t i, Py_ssize_t end, bint is_exit)
    cdef Py_ssize_t bracketed(self, Py_ssize_t i, Py_ssize_t end)
    cpdef bint comment(self, Py_ssize_t start, Py_ssize_t end)
    cdef bint loss(self, Py_ssize_t start, Py_ssize_t end)

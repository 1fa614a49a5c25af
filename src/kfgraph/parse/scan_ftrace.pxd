from kfgraph.parse.scan cimport Scanner


cdef class FtraceScanner(Scanner):
    cdef list header
    cdef public dict first_pids
    cdef dict cpu_pids
    cdef int has_time
    cdef int has_cpu
    cdef int has_duration
    cdef bint is_bare
    cdef bint relative
    cdef list letters
    cdef bytes searched_in
    cdef Py_ssize_t searched
    cdef Py_ssize_t closes_at

    cpdef bint line(self, Py_ssize_t start, Py_ssize_t end)
    cdef bint flat(self, Py_ssize_t start, Py_ssize_t i, Py_ssize_t end, int margin)
    cdef bint aside(self, Py_ssize_t start, Py_ssize_t end)
    cdef bint is_slow(self, Py_ssize_t i)
    cdef Py_ssize_t relative_time(self, Py_ssize_t i, Py_ssize_t end)
    cdef Py_ssize_t task_column(self, Py_ssize_t start, Py_ssize_t end)
    cdef bint names_task(self, Py_ssize_t start, Py_ssize_t end)
    cdef Py_ssize_t latency_column(self, Py_ssize_t i, Py_ssize_t end)
    cdef int context_in(self, Py_ssize_t begin, Py_ssize_t width)

from kfgraph.parse.scan cimport Scanner


cdef class ReportScanner(Scanner):
    cdef long long last_time
    cdef bytes buffer
    cdef dict others
    cdef Py_ssize_t width

    cpdef bint line(self, Py_ssize_t start, Py_ssize_t end)
    cdef int event(self, Py_ssize_t begin, Py_ssize_t end)
    cdef Py_ssize_t columns(self, Py_ssize_t start, Py_ssize_t end)
    cdef Py_ssize_t prefix(self, Py_ssize_t start, Py_ssize_t end)
    cdef Py_ssize_t task(self, Py_ssize_t start, Py_ssize_t end)
    cdef bint names_task(self, Py_ssize_t start, Py_ssize_t end)
    cdef Py_ssize_t task_at(self, Py_ssize_t dash, bint bracket)
    cdef Py_ssize_t latency(self, Py_ssize_t i, Py_ssize_t end)
    cdef int wide_context(self, Py_ssize_t begin, Py_ssize_t width)
    cdef Py_ssize_t raw_flags(self, Py_ssize_t i, Py_ssize_t end)
    cdef bint raw(self, Py_ssize_t i, Py_ssize_t end, int kind)
    cdef bint arrow(self, Py_ssize_t i, Py_ssize_t end, int kind)
    cdef bint finish(self, int kind, long long rettime)
    cdef int hex_digit(self, int c)

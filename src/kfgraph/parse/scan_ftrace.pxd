from kfgraph.parse.scan cimport Scanner


cdef class FtraceScanner(Scanner):
    cdef list header
    cdef dict first_pids
    cdef dict cpu_pids

    cpdef bint line(self, Py_ssize_t start, Py_ssize_t end)
    cdef Py_ssize_t task_column(self, Py_ssize_t start, Py_ssize_t end)
    cdef Py_ssize_t latency_column(self, Py_ssize_t i, Py_ssize_t end)

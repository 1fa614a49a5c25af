# The C side of placing.py: types of attributes and methods.

from kfgraph.parse.columns cimport Columns


cdef class Placing(Columns):
    cdef readonly dict parts

    cdef int take_in(self, int node, int lane) except -1
    cdef int put_out(self, int node, int lane) except -1
    cdef int split(self, int child, int node, int parent, long long called, long long over) except -1
    cdef int leaf_of(self, Py_ssize_t i, int lane, int top, int d) except -2

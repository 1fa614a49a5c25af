# The C side of stacks.py: types of attributes and methods.

cimport cython
from kfgraph.parse.placing cimport Placing


@cython.final
cdef class Stacks(Placing):
    cdef object delays
    cdef bint same_clock
    cdef bint timed
    cdef bint paired
    cdef bint lossy
    cdef bint pending

    cdef int switch(self, int pid, int cpu) except -1
    cdef int catch_up(self, int lane, int cpu) except -1
    cdef int go_back(self, int lane, long long time) except -1
    cdef bint is_beside(self, int top, int depth) except -1
    cdef int unwind(self, int lane, int top, int depth) except -2
    cdef int abandon(self, int node, int lane) except -2
    cdef int enter(self, Py_ssize_t i, int lane, int top, int d) except -1
    cdef int leave(self, Py_ssize_t i, int lane, int top, int d, bint skipped) except -1
    cdef int depth_of_exit(self, Py_ssize_t i, int d, int top) except -2
    cdef int innermost(self, int func, int lane, int top) except -2
    cdef bint close(self, Py_ssize_t i, int node, int lane, bint skipped) except -1
    cdef bint is_after_visit(self, Py_ssize_t i, int node) except -1
    cdef bint outlasts(self, Py_ssize_t i, int node) except -1
    cdef bint is_late(self, Py_ssize_t i, int node, int lane, bint skipped) except -1
    cdef bint is_refuted(self, Py_ssize_t i, int node) except -1
    cdef int rebuild(self, Py_ssize_t i, int lane, int top, int d, int donor) except -1
    cdef int adopt(self, int node, int donor, long long called) except -1
    cdef bint is_inside(self, int child, int node, int donor, long long called) except -1
    cdef bint began_inside(self, int child, int node, long long called) except -1
    cdef bint ran_inside(self, int child, int node, long long called) except -1

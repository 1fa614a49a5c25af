# The C side of settle.py: types of attributes and methods.

cimport cython


@cython.final
cdef class Settler:
    cdef int[::1] parent
    cdef long long[::1] start
    cdef long long[::1] duration
    cdef long long[::1] call
    cdef unsigned int[::1] flags
    cdef int[::1] new_row
    cdef short[::1] level
    cdef int[::1] end
    cdef long long[::1] self_ns
    cdef long long[::1] next_call
    cdef bint same_clock

    cdef bint calltime_outside(self, Py_ssize_t i, int p) except -1
    cdef bint text_outside(self, Py_ssize_t i, int p) except -1
    cdef bint hit_tracer(self, Py_ssize_t i, int p) except -1

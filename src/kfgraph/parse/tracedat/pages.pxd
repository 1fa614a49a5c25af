# The C side of pages.py: types of attributes, methods and functions.

from kfgraph.parse.tracedat.streams cimport Codes, Stream

cdef long long _signed(unsigned long long value) except? -1


cdef class Decoder:
    cdef list streams
    cdef long long[::1] times
    cdef bint big
    cdef int[::1] routes
    cdef int[::1] layout
    cdef int[::1] plain
    cdef int long_size
    cdef long long calltime_offset
    cdef Codes function_codes
    cdef Codes caller_codes
    cdef unsigned long long[::1] values
    cdef Py_ssize_t n_values
    cdef long long[::1] places
    cdef Py_ssize_t n_places
    # The batch.
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
    cdef unsigned char[::1] raw_flags
    cdef unsigned long long[::1] raw_overrun
    cdef unsigned long long[::1] raw_rettime

    cdef Py_ssize_t earliest(self, Py_ssize_t but) except -2
    cdef bint holds(self, Py_ssize_t place, Py_ssize_t size) except -1
    cdef unsigned long long field(self, Stream stream, Py_ssize_t place) except? 1
    cdef Py_ssize_t take_args(self, Stream stream, Py_ssize_t at, Py_ssize_t end) except -1
    cdef int place(self, long long place) except -1
    cdef int lose(self, Stream stream, Py_ssize_t n) except -1

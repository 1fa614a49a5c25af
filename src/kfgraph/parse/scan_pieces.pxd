# The C side of scan_pieces.py: types of attributes and methods.

cdef class Pieces:
    cdef bytes data
    cdef const unsigned char[::1] view
    cdef long long value
    cdef long long time
    cdef bint time_is_ticks
    cdef Py_ssize_t spaces(self, Py_ssize_t i)
    cdef Py_ssize_t number(self, Py_ssize_t i)
    cdef Py_ssize_t register(self, Py_ssize_t i)
    cdef Py_ssize_t timestamp(self, Py_ssize_t i)
    cdef Py_ssize_t returned(self, Py_ssize_t i)
    cdef Py_ssize_t closing(self, Py_ssize_t i, Py_ssize_t end)
    cdef int context_of(self, int c)
    cdef bint has_letters(self, Py_ssize_t i)
    cdef bint holds(self, Py_ssize_t i, bytes word)

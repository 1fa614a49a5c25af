# The C side of streams.py: types of attributes and methods.

cdef class Codes:
    cdef unsigned long long[::1] keys
    cdef int[::1] codes
    cdef unsigned long long[::1] order
    cdef int n
    cdef int bits
    cdef unsigned long long last
    cdef int last_code

    cdef int code(self, unsigned long long address) except -1
    cdef int grow(self) except -1


cdef class Stream:
    cdef int cpu
    cdef bint big
    cdef Py_ssize_t page_size
    cdef Py_ssize_t header
    cdef object convert
    cdef unsigned long long mult
    cdef int shift
    cdef long long offset
    cdef bint is_raw
    # The pages at hand, and where in them.
    cdef const unsigned int[::1] words
    cdef Py_ssize_t n_bytes
    cdef long long base
    cdef Py_ssize_t page
    cdef Py_ssize_t pos
    cdef Py_ssize_t end
    cdef unsigned long long clock
    # The record at hand: its header, its data, its time, and what was lost before it.
    cdef bint ready
    cdef bint done
    cdef Py_ssize_t head
    cdef Py_ssize_t at
    cdef Py_ssize_t size
    cdef long long time
    cdef long long missed
    cdef long long n_bad
    cdef long long first_bad
    cdef long long n_back
    cdef long long first_back
    # The timestamp of the last page that made sense.
    cdef unsigned long long stamp
    cdef bint any_page

    cdef unsigned long long load(self, Py_ssize_t at, int size) except? 1
    cdef int spoil(self, Py_ssize_t at) except -1
    cdef int open_page(self) except -1
    cdef bint is_out_of_order(self, unsigned long long stamp) except -1
    cdef int advance(self) except -1
    cdef long long converted(self) except -1

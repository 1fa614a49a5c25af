"""Names of the kernel's error numbers."""

from __future__ import annotations

from kfgraph.errors import UsageError

# include/uapi/asm-generic/errno-base.h and errno.h, from 1 on; "" where a number has no name.
_GENERIC = """
EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV
ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK
ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP - ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT
EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT - EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK EADV ESRMNT
ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC
EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT
EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET
ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS
ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED
EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL EHWPOISON
""".split()  # noqa: SIM905 (a hundred quotes are no easier to read)
# include/linux/errno.h: these never leave the kernel.
_INTERNAL = {
    512: "ERESTARTSYS",
    513: "ERESTARTNOINTR",
    514: "ERESTARTNOHAND",
    515: "ENOIOCTLCMD",
    516: "ERESTART_RESTARTBLOCK",
    517: "EPROBE_DEFER",
    518: "EOPENSTALE",
    519: "ENOPARAM",
    521: "EBADHANDLE",
    522: "ENOTSYNC",
    523: "EBADCOOKIE",
    524: "ENOTSUPP",
    525: "ETOOSMALL",
    526: "ESERVERFAULT",
    527: "EBADTYPE",
    528: "EJUKEBOX",
    529: "EIOCBQUEUED",
    530: "ERECALLCONFLICT",
    531: "ENOGRACE",
}
_NAMES = {n: name for n, name in enumerate(_GENERIC, 1) if name != "-"} | _INTERNAL
_N_COMMON = 34
"""Up to ERANGE all architectures agree."""
_OWN_NUMBERS = ("alpha", "mips", "parisc", "sparc")


def errno_name(number: int, *, arch: str = "") -> str:
    """``ENODEV`` for 19; "" for a number without name, or one that ``arch`` may number otherwise."""
    if number > _N_COMMON and number not in _INTERNAL and arch.startswith(_OWN_NUMBERS):
        return ""
    return _NAMES.get(number, "")


def errno_number(word: str) -> int | None:
    """19 for ``ENODEV`` and for ``19``; None for what is neither."""
    if word.isascii() and word.isdigit():
        return int(word) if 0 < int(word) <= 4095 else None
    return next((number for number, name in _NAMES.items() if name == word.upper()), None)


def error_number(word: str | int) -> int:
    """22 for ``EINVAL``, ``-EINVAL``, ``-22`` and ``22``.

    Raises:
        UsageError: no error is called so.
    """
    number = errno_number(str(word).lstrip("-"))
    if number is None:
        raise UsageError(f"--ret {word}: not an error number or name", "--ret EINVAL")
    return number

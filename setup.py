"""The compiled hot loops, where a C compiler is: the same files run as plain Python where none is."""

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HOT = {
    "kfgraph.parse.stacks": "src/kfgraph/parse/stacks.py",
    "kfgraph.parse.settle": "src/kfgraph/parse/settle.py",
    "kfgraph.parse.scan": "src/kfgraph/parse/scan.py",
    "kfgraph.parse.scan_report": "src/kfgraph/parse/scan_report.py",
    "kfgraph.parse.scan_ftrace": "src/kfgraph/parse/scan_ftrace.py",
    "kfgraph.parse.tracedat.streams": "src/kfgraph/parse/tracedat/streams.py",
    "kfgraph.parse.tracedat.pages": "src/kfgraph/parse/tracedat/pages.py",
}


class BuildWhatCompiles(build_ext):
    """Leaves out what does not compile here, and says so: without a compiler the install succeeds."""

    def build_extension(self, ext):
        """One extension, or a warning."""
        try:
            super().build_extension(ext)
        except Exception as problem:
            self.warn(f"{ext.name} stays plain Python, which is slower: {problem}")


def extensions():
    """Nothing where there is no Cython."""
    try:
        from Cython.Build import cythonize
    except ImportError:
        return []
    # Python's own flags ask for debug information and -O3, which doubles the time of an install and helps nobody.
    quick = ["-O2", "-g0"]
    modules = [Extension(name, [path], optional=True, extra_compile_args=quick) for name, path in HOT.items()]
    return cythonize(modules, language_level=3, compiler_directives={"boundscheck": True, "wraparound": False})


setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildWhatCompiles},
    options={"build_ext": {"parallel": True}},
)

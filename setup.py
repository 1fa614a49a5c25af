"""The compiled hot loops, where a C compiler is: the same files run as plain Python where none is."""

from setuptools import Extension, setup

HOT = {
    "kfgraph.parse.stacks": "src/kfgraph/parse/stacks.py",
    "kfgraph.parse.scan": "src/kfgraph/parse/scan.py",
    "kfgraph.parse.scan_report": "src/kfgraph/parse/scan_report.py",
    "kfgraph.parse.scan_ftrace": "src/kfgraph/parse/scan_ftrace.py",
    "kfgraph.parse.tracedat.pages": "src/kfgraph/parse/tracedat/pages.py",
}


def extensions():
    try:
        from Cython.Build import cythonize
    except ImportError:
        return []
    modules = [Extension(name, [path], optional=True) for name, path in HOT.items()]
    return cythonize(modules, language_level=3, compiler_directives={"boundscheck": True, "wraparound": False})


setup(ext_modules=extensions(), options={"build_ext": {"parallel": True}})

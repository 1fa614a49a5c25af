"""The compiled hot loops, where a C compiler is: the same files run as plain Python where none is."""

import os
import re
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# setuptools carries distutils inside, and its own commands derive from these.
from distutils.command.install_data import install_data  # isort: skip

HOT = {
    "kfgraph.parse.columns": "src/kfgraph/parse/columns.py",
    "kfgraph.parse.placing": "src/kfgraph/parse/placing.py",
    "kfgraph.parse.stacks": "src/kfgraph/parse/stacks.py",
    "kfgraph.parse.settle": "src/kfgraph/parse/settle.py",
    "kfgraph.parse.scan_pieces": "src/kfgraph/parse/scan_pieces.py",
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


class InstallManPages(install_data):
    """Makes the manual pages of what the commands declare."""

    def run(self):
        """Write them into the build folder and install them from there."""
        sys.path.insert(0, str(Path(__file__).with_name("src").resolve()))
        from kfgraph.cli.manpages import pages

        folder = Path(self.get_finalized_command("build").build_temp)
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for name, text in pages(self.distribution.get_version()).items():
            (folder / name).write_text(text, encoding="utf-8")
            written.append(str(folder / name))
        self.data_files = [("share/man/man1", written)]
        super().run()


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


def readme(url):
    """README.md as PyPI is to show it: links to files lead below ``url``; without one they are text, and there are no
    pictures."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    text = re.sub(r"!\[([^]]*)\]\((?!\w+:)([^)]+)\)\n+", rf"![\1]({url}/raw/main/\2)\n\n" if url else "", text)
    target = rf"[\1]({url}/blob/main/\2)" if url else r"\1"
    return re.sub(r"\[((?:`[^`]*`|[^][`])+)\]\((?!\w+:)([^)]+)\)", target, text)


# Where the repository is published, known to who publishes it.
URL = os.environ.get("KFGRAPH_URL", "").rstrip("/")
PAGES = {"Documentation": "tree/main/docs", "Changelog": "blob/main/CHANGELOG.md", "Issues": "issues"}

setup(
    long_description=readme(URL),
    long_description_content_type="text/markdown",
    project_urls={"Source": URL, **{name: f"{URL}/{page}" for name, page in PAGES.items()}} if URL else {},
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildWhatCompiles, "install_data": InstallManPages},
    # Without any, install_data would not run.
    data_files=[("share/man/man1", [])],
    options={"build_ext": {"parallel": True}},
)

#!/bin/sh
# The command line with other versions of typer and click than the venv's: the oldest that pyproject.toml allows, the
# newest there are, and the last typer that uses click beside the newest click. Each goes into a folder in front of
# the venv's own packages, and the tests of the command line run with it.
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
oldest=$(sed -n 's/^ *"typer>=\([0-9.]*\)",$/\1/p' pyproject.toml)

try() {
    name=$1
    shift
    echo "== $name: $*"
    "$python" -m pip install --quiet --disable-pip-version-check --upgrade --target "$folder/$name" "$@"
    PYTHONPATH="$folder/$name" "$python" -c 'import typer; print("typer", typer.__version__, "in", typer.__file__)'
    PYTHONPATH="$folder/$name" "$python" -m pytest -q -p no:cacheprovider \
        tests/cli/test_fastparse.py tests/cli/test_first_word.py tests/cli/test_errors.py tests/contract/test_commands.py \
        tests/cli/test_completing.py
}

try oldest "typer==$oldest.*" 'click==8.0.*'
try mixed 'typer<0.26' click
try newest typer

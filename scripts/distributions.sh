#!/bin/sh
# Builds the wheel and the source distribution, installs each in an empty environment and uses it there: the wheel
# with the oldest dependencies that pyproject.toml allows, the source distribution with the newest there are.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Of a copy: what lies about in the checkout is not in the packages.
git ls-files -z | tar -cf - --null -T - | tar -xf - -C "$(mkdir "$folder/copy" && echo "$folder/copy")"
"$python" -m venv "$folder/build"
"$folder/build/bin/python" -m pip install --quiet --disable-pip-version-check build
"$folder/build/bin/python" -m build --outdir "$folder/dist" "$folder/copy" >"$folder/log" 2>&1 || { tail -20 "$folder/log"; exit 1; }
oldest=$("$python" - <<'END'
import re
text = open("pyproject.toml").read().partition("\ndependencies = [")[2].partition("]")[0]
print(*(f"{name}=={version}.*" for name, version in re.findall(r'^    "([\w-]+)>=([\d.]+)",$', text, re.MULTILINE)))
END
)

try() {
    name=$1
    shift
    echo "== $name: $*"
    "$python" -m venv "$folder/$name"
    "$folder/$name/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
    "$folder/$name/bin/python" -m pip list --disable-pip-version-check --format freeze | tr '\n' ' '
    echo
    for file in examples/insmod-foo-fail19.dat examples/insmod-fail19.report.txt.xz; do
        trace=$PWD/$file
        (
            cd "$folder" # nothing of the checkout is imported
            export PATH="$folder/$name/bin:$PATH"
            kfgraph --version
            kfgraph show "$trace" --max-rows 5 >/dev/null
            kfgraph top "$trace" --json | python -c 'import json, sys; assert json.load(sys.stdin)["functions"]'
            [ "${file%.dat}" = "$file" ] || kfgraph why "$trace" | grep -q ENODEV # a text has no return values
            kfgraph export "$trace" --format chrome >/dev/null
            kfgraph html "$trace" -o "$folder/page.html" && grep -q '<script' "$folder/page.html"
            python - "$trace" <<'END'
import sys
import kfgraph

trace = kfgraph.load(sys.argv[1])
trace.check()
frame = kfgraph.to_pandas(trace)
assert len(frame) == len(trace.calls) > 1_000 and kfgraph.to_anytree(kfgraph.call_tree(trace))
END
        )
    done
}

# shellcheck disable=SC2086
try wheel "$folder"/dist/*.whl $oldest
try sdist "$folder"/dist/*.tar.gz

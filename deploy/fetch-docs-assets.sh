#!/usr/bin/env bash
# Fetches the files Swagger UI and ReDoc need, so that /docs and /redoc are full pages without internet at run time.
# They come from the PyPI package drf-spectacular-sidecar (with its licences), pinned by version and hash.
#
#   deploy/fetch-docs-assets.sh [FOLDER]    default .nanobot/docs-assets
#
# Tell the service: NANOBOT_DOCS_ASSETS=FOLDER, or "documentation_assets": "FOLDER" in config.json. Without them the pages
# are plain ones made from /openapi.json: a failure here loses nothing else. A folder that is complete is left alone.
# Exit: 0 the files are there, 1 not, 2 usage.
[ -n "${BASH_VERSION-}" ] || exec bash "$0" "$@" # for those who say: sh FILE
set -euo pipefail

version=2026.10.1
sha256=fe1d005d8ac9b5d0472f2fe5deeb2e7d6dcffaa24118044f22578b4b8c4b31f2
package=drf-spectacular-sidecar
# Where the package keeps its files, and the ones the API serves.
inside=drf_spectacular_sidecar/static/drf_spectacular_sidecar
needed=(swagger-ui-dist/swagger-ui-bundle.js swagger-ui-dist/swagger-ui.css redoc/bundles/redoc.standalone.js)
# Seconds the download may take.
download_limit=120

fail() {
    local status=$1
    shift
    printf 'fetch-docs-assets: %s\n' "$*" >&2
    exit "$status"
}

case "${1-}" in
    -h | --help)
        sed -n '2,10s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    -*) fail 2 "unknown argument: $1" ;;
esac
[ $# -le 1 ] || fail 2 "one folder at most"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${1-"$root/.nanobot/docs-assets"}

is_complete() {
    local file
    [ "$(cat "$1/VERSION" 2>/dev/null)" = "$version" ] || return 1
    for file in "${needed[@]}"; do [ -s "$1/$file" ] || return 1; done
}

if is_complete "$target"; then
    printf 'fetch-docs-assets: %s %s is in %s\n' "$package" "$version" "$target"
    exit 0
fi

mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$(dirname "$target")/.docs-assets.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Debian's python3-pip belongs to /usr/bin/python3; another python3 may come first in PATH.
python=""
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -m pip --version >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail 1 "no python3 with pip; run deploy/setup.sh"

printf '%s==%s --hash=sha256:%s\n' "$package" "$version" "$sha256" >"$work/requirements.txt"
timeout "$download_limit" "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes --dest "$work" -r "$work/requirements.txt" ||
    fail 1 "$package $version could not be downloaded from PyPI; /docs and /redoc stay plain"
"$python" -m zipfile -e "$work"/*.whl "$work/unpacked"

ready="$work/ready"
mv "$work/unpacked/$inside" "$ready"
cp "$work/unpacked"/*.dist-info/licenses/LICENSE "$ready/LICENSE"
find "$ready" -name '*.map' -delete
printf '%s\n' "$version" >"$ready/VERSION"
chmod -R u=rwX,go=rX "$ready"
is_complete "$ready" || fail 1 "$package $version lacks a file this script expects: ${needed[*]}"
# An older set is replaced whole; the service reads each file once, at its first use.
if [ -e "$target" ]; then mv "$target" "$work/old"; fi
mv "$ready" "$target"
printf 'fetch-docs-assets: %s %s is in %s\n' "$package" "$version" "$target"

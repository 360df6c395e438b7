#!/usr/bin/env bash
# scripts/lint.sh [BUILD]: clang-format and clang-tidy over all sources, with the settings of the
# tree; BUILD (default build/dev) holds compile_commands.json. Fails on the first kind of finding.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${1:-build/dev}
folders=(core ops layers optim datasets apps tests)
sources() { find "${folders[@]}" -path tests/consumer -prune -o -type f "$@" -print; }

sources -name '*.[ch]pp' | xargs clang-format --dry-run --Werror
sources -name '*.cpp' | xargs -P "$(nproc)" -n 1 clang-tidy -p "$build" --quiet

#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'END'
usage: scripts/test.sh [--slow] [--help]

Installs what is missing (root or sudo), builds isotape in build/ and runs its fast tests.

  --slow   run the long tests too
  --help   print this and stop

Tests on real images read the folder that $ISOTAPE_DATA names (it holds MNIST/ and
cifar-10-batches-bin/), and are skipped without it. With $ISOTAPE_REQUIRE_DATA=1 that is a failure.
The test that opens reports in Chromium is skipped where there is none, or no registry of npm.
END
}

selection=()
for argument in "$@"; do
  case $argument in
    --slow) selection=(--build-config slow) ;;
    --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

source scripts/packages.sh
if [[ ${ISOTAPE_REQUIRE_DATA:-0} == 1 ]]; then test_packages+=(dataset-fashion-mnist); fi
install_packages "${build_packages[@]}" "${test_packages[@]}" "${browser_packages[@]}"

# Idle threads must not spin: several test programs share the cores.
export OMP_WAIT_POLICY=passive
cmake -S . -B build -G Ninja
cmake --build build

log=build/tests.log
status=0
ctest --test-dir build --parallel "$(nproc)" --output-on-failure "${selection[@]}" 2>&1 |
  tee "$log" || status=1

# A line of CTest: `12/30 Test #12: core ......   Passed    0.52 sec`, or ***Failed, ***Skipped, ...
count() { grep -Ec "^ *[0-9]+/[0-9]+ +Test +#[0-9]+: .*$1" "$log" || true; }
total=$(count '')
passed=$(count ' Passed ')
skipped=$(count '\*\*\*Skipped ')
if [[ ${ISOTAPE_REQUIRE_DATA:-0} == 1 ]] && ((skipped > $(count 'browser\..*\*\*\*Skipped '))); then
  echo "expected no skipped test but the browser's with ISOTAPE_REQUIRE_DATA=1" >&2
  status=1
fi
((total > 0)) || status=1
echo "tests: $passed passed, $((total - passed - skipped)) failed, $skipped skipped"
exit "$status"

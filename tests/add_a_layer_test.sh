#!/usr/bin/env bash
# add_a_layer_test.sh SOURCE WORK: applies docs/add-a-layer.md to a copy of the project, builds the
# tests there and runs the new row of the battery.
set -euo pipefail
source=$1
work=$2

mkdir -p "$work"
# The library and the tests of layers are enough.
for folder in core ops layers optim datasets cmake tests/layers tests/support; do
  mkdir -p "$work/$folder"
  cp -Rp "$source/$folder/." "$work/$folder"
done
cp -p "$source"/tests/*.* "$work/tests"
cp -p "$source"/CMakeLists.txt "$source"/README.md "$work"

# "Write `FILE`:" and "Insert into `FILE`, behind `LINE`:", each with the block that follows.
awk -v work="$work" '
  function insert(file, anchor, text,    line, all, found) {
    while ((getline line < file) > 0) {
      all = all line "\n"
      if (line == anchor && !found) { all = all text; found = 1 }
    }
    close(file)
    if (!found) { print file ": expected the line " anchor; exit failed = 1 }
    printf "%s", all > file
    close(file)
  }
  /^Write `/ { split($0, part, "`"); file = work "/" part[2]; anchor = ""; armed = 1; next }
  /^Insert into `/ {
    split($0, part, "`"); file = work "/" part[2]; anchor = part[4]; armed = 1; next
  }
  /^```/ && inside {
    if (anchor == "") { printf "%s", text > file; close(file) } else insert(file, anchor, text)
    inside = 0; armed = 0; applied++
    next
  }
  /^```/ && armed { inside = 1; text = ""; next }
  inside { text = text $0 "\n" }
  END { if (failed) exit 1; if (applied != 6) { print "expected 6 blocks, got " applied; exit 1 } }
' "$source/docs/add-a-layer.md"

cmake -S "$work" -B "$work/build" -G Ninja -DISOTAPE_BUILD_APPS=OFF -DISOTAPE_BUILD_BENCHMARKS=OFF \
  "${@:3}"
cmake --build "$work/build" --target isotape_tests
"$work/build/tests/isotape_tests" --test-suite=layers/battery --subcase=contraction |
  tee "$work/battery.log"
grep -q "^battery: contraction: 14 cells run, 0 refused" "$work/battery.log"

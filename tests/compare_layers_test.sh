#!/usr/bin/env bash
# compare_layers_test.sh SCRIPT ISOTAPE WORK: the table of two types, its second call from what the
# first left, and what is refused.
set -euo pipefail
script=$1
export ISOTAPE=$2
work=$3
rm -rf "$work"
mkdir -p "$work"

compare() { bash "$script" --dataset glyphs --epochs 1 --out "$work/runs" "$@"; }

table=$(compare abs nonsense)
echo "$table"
[[ $(sed -n 1p <<<"$table") == '| layer | clean % | at '*'| bound | step ms | peak MB |' ]]
[[ $(sed -n 3p <<<"$table") =~ ^\|\ \`abs\`\ \|\ [0-9.]+\ \|.*\ \|\ 1\.000000[0-9]\ \|\ [0-9.]+\ \|\ [0-9]+\ \|$ ]]
[[ $(sed -n 4p <<<"$table") == '| `nonsense` | '*"got 'small:nonsense'"* ]]

before=$(stat -c %Y "$work/runs/small-abs-glyphs-1.json")
compare abs >"$work/again.md"
[[ $(stat -c %Y "$work/runs/small-abs-glyphs-1.json") == "$before" ]]

status=0
text=$(compare --modle small 2>&1) || status=$?
[[ $status == 2 && $text == "compare-layers.sh: error: unknown flag '--modle'" ]]
status=0
text=$(compare --model nowhere 2>&1) || status=$?
[[ $status == 2 && $text == *"--model: expected a model that takes a layer, got 'nowhere'" ]]

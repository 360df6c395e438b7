#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'END'
usage: scripts/demo.sh [--help]

Installs what is missing (root or sudo), builds the command in build/, and does isotape's main job
on real images: trains the provably robust network bcop-small on Fashion-MNIST, evaluates it,
audits it layer by layer, and writes a report. About four minutes on two cores, after the build.
Each run goes to a new folder, runs/demo-1, runs/demo-2, ...

  --help   print this and stop
END
}

for argument in "$@"; do
  case $argument in
    --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

source scripts/packages.sh
install_packages "${build_packages[@]}"
# Real images from the distribution's package; where it cannot be had, digits drawn by isotape.
dataset=fashion-mnist
images=/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz
if [[ ! -e $images ]] && ! (install_packages dataset-fashion-mnist); then
  echo "the package dataset-fashion-mnist cannot be had; the demo goes on with the embedded glyphs"
  dataset=glyphs
fi

# Idle threads must not spin: other programs share the cores.
export OMP_WAIT_POLICY=passive
cmake -S . -B build -G Ninja
cmake --build build --target isotape_cli

isotape=build/apps/isotape
number=1
while [[ -e runs/demo-$number ]]; do number=$((number + 1)); done
run=runs/demo-$number

"$isotape" train --model bcop-small --dataset "$dataset" --epochs 5 --seed 0 --out "$run"
"$isotape" eval "$run"
"$isotape" audit "$run"

cat <<END

report:   $PWD/$run/report.html
command:  $PWD/$isotape
try:      $isotape train --dataset glyphs --epochs 2 --orthogonal-update retract
          $isotape audit $run --json
          $isotape models bcop-small --toml
END

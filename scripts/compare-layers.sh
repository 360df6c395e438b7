#!/usr/bin/env bash
set -euo pipefail

usage() {
  cat <<'END'
usage: scripts/compare-layers.sh [--model NAME] [--dataset NAME] [--epochs N] [--out DIR] [LAYER...]
       scripts/compare-layers.sh --help

Trains the model NAME:<layer> (default: small) for each type of layers that it takes, or for the
types LAYER..., and prints a table in Markdown: clean and certified accuracy, the proved Lipschitz
bound, CPU time of a training step and its peak memory on one thread, batch 128. A type that does
not train is a row that says why; the runs lie in DIR (default: runs/compare), and one that is
complete is not trained again.

  --dataset NAME  see `isotape datasets` (default: mnist)
  --epochs N      default: 2
  ISOTAPE         the command (default: build/apps/isotape)
END
}

fail() {
  echo "compare-layers.sh: error: $1" >&2
  exit 2
}

model=small
dataset=mnist
epochs=2
out=runs/compare
layers=()
while (($# > 0)); do
  case $1 in
    --help)
      usage
      exit 0
      ;;
    --model | --dataset | --epochs | --out)
      (($# > 1)) || fail "$1: expected a value, got none"
      printf -v "${1#--}" '%s' "$2"
      shift
      ;;
    -*) fail "unknown flag '$1'" ;;
    *) layers+=("$1") ;;
  esac
  shift
done

isotape=${ISOTAPE:-build/apps/isotape}
export OMP_NUM_THREADS=1
command -v "$isotape" >/dev/null || fail "$isotape: expected the command, found nothing"

# The number behind "KEY": in JSON on standard input; the first one.
number() { grep -o "\"$1\": *[-+.0-9e]*" | head -n 1 | sed 's/.*: *//'; }

if ((${#layers[@]} == 0)); then
  mapfile -t layers < <("$isotape" models --json |
    sed -n "/\"name\": \"$model\"/,/^  }/p" | sed -n '/"types"/,/]/p' | grep -o '"[a-z0-9-]*"$\|"[a-z0-9-]*",$' |
    tr -d '",')
  ((${#layers[@]} > 0)) || fail "--model: expected a model that takes a layer, got '$model'"
fi

mkdir -p "$out"
first=1
for layer in "${layers[@]}"; do
  name=$model:$layer
  run=$out/$model-$layer-$dataset-$epochs
  figures=$run.json
  if [[ ! -s $figures ]]; then
    rm -rf "$run"
    if ! "$isotape" train --model "$name" --dataset "$dataset" --epochs "$epochs" --threads 1 \
      --out "$run" --quiet --json >"$figures.part" 2>"$run.log"; then
      echo "| \`$layer\` | $(tail -n 1 "$run.log") |"
      continue
    fi
    mv "$figures.part" "$figures"
  fi
  step=$("$isotape" bench step --model "$name" --dataset "$dataset" --batch 128 --threads 1 --json)
  mapfile -t eps < <(grep -o '"certified_accuracy":{[^}]*}' "$figures" | grep -o '"[0-9./]*":' | tr -d '":')
  if ((first)); then
    header='| layer | clean %'
    line='| --- | --:'
    for e in "${eps[@]}"; do
      header+=" | at $e %"
      line+=' | --:'
    done
    echo "$header | bound | step ms | peak MB |"
    echo "$line | --: | --: | --: |"
    first=0
  fi
  row="| \`$layer\` | $(printf '%.1f' "$(number clean_accuracy <"$figures")")"
  for e in "${eps[@]}"; do
    row+=" | $(printf '%.1f' "$(number "$e" <"$figures")")"
  done
  row+=" | $(printf '%.7f' "$(number lipschitz_bound <"$figures")")"
  row+=" | $(printf '%.1f' "$(number step_ms <<<"$step")")"
  echo "$row | $(printf '%.0f' "$(number peak_resident_mb <<<"$step")") |"
done

#!/usr/bin/env bash
# report_pages_test.sh ISOTAPE FOLDER: makes small reports and opens them in Chromium, with
# playwright-core as package-lock.json pins it. Skipped where node, npm or chromium is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
isotape=$1
work=$2
for tool in node npm chromium; do
  if ! command -v "$tool" >/dev/null; then
    echo "skipped: no $tool in PATH"
    exit 0
  fi
done
rm -rf "$work/runs"
mkdir -p "$work/runs"
cp "$here"/{package.json,package-lock.json,report_pages.mjs} "$work"
cd "$work"
if ! npm ci --ignore-scripts --no-audit --no-fund >npm.log 2>&1; then
  tail -n 3 npm.log
  echo "skipped: npm could not get playwright-core"
  exit 0
fi

"$isotape" train --model "$here/../apps/points.toml" --dataset moons --epochs 2 \
  --eps 0.1,0.3 --threads 1 --out runs/train >train.log
"$isotape" train --model "$here/../apps/points.toml" --dataset moons --epochs 1 \
  --eps 0.1 --threads 1 --out runs/audit >train.log
"$isotape" audit runs/audit --html --threads 1 >audit.log

# A study that is stopped after two cells leaves a page of what there is.
"$isotape" study wasserstein --threads 1 --out runs/study >study.log 2>&1 &
study=$!
for _ in $(seq 600); do
  if [[ -f runs/study/results.jsonl && $(wc -l <runs/study/results.jsonl) -ge 2 ]]; then break; fi
  sleep 0.1
done
kill -INT "$study"
status=0
wait "$study" || status=$?
if [[ $status != 130 ]]; then
  cat study.log
  echo "expected a stopped study to exit with 130, got $status"
  exit 1
fi
node report_pages.mjs "$(command -v chromium)" runs

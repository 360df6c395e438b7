#!/usr/bin/env bash
set -euo pipefail

usage() {
  cat <<'END'
usage: scripts/fetch-data.sh mnist|cifar10 [DIR]
       scripts/fetch-data.sh --help

Downloads a data set into DIR (default: data) under the names that isotape looks for there:
DIR/MNIST/raw/ or DIR/cifar-10-batches-bin/. Every download is checked against the MD5 sum of the
original and only then moved to its place. What is there already is kept; an interrupted download
is continued by the next call. Needs curl.

  ISOTAPE_MIRROR     URL of a folder to fetch from instead of the usual ones (file:// works)
  ISOTAPE_CHECKSUMS  file of other sums to expect, one per line: SUM  NAME
END
}

fail() {
  echo "fetch-data.sh: error: $1" >&2
  exit "${2:-1}"
}

mnist_mirrors=(https://ossci-datasets.s3.amazonaws.com/mnist
  https://storage.googleapis.com/cvdf-datasets/mnist)
mnist_sums='f68b3c2dcbeaaa9fbdd348bbdeb94873  train-images-idx3-ubyte.gz
d53e105ee54ea40749a09fcbcd1e9432  train-labels-idx1-ubyte.gz
9fb629c4189551a2d022fa330f9573f3  t10k-images-idx3-ubyte.gz
ec29112dd5afa0611ce80d1b7f02629c  t10k-labels-idx1-ubyte.gz'
cifar10_mirrors=(https://www.cs.toronto.edu/~kriz)
cifar10_sums='c32a1d4ab5d03f1284b67883e8d87530  cifar-10-binary.tar.gz'

# The MD5 sum of a file; nothing if it is not there.
sum_of() {
  [[ ! -f $1 ]] || md5sum <"$1" | cut -d ' ' -f 1
}

# fetch NAME FOLDER URL...: FOLDER/NAME with its expected sum, from the first URL that gives it.
fetch() {
  local name=$1 folder=$2 url attempt expected found status
  shift 2
  local target=$folder/$name part=$folder/$name.part
  expected=$(awk -v name="$name" '$2 == name { print $1 }' <<<"$sums")
  [[ -n $expected ]] || fail "expected a checksum of $name in $ISOTAPE_CHECKSUMS, found none" 4
  if [[ $(sum_of "$target") == "$expected" ]]; then
    echo "$target is there"
    return
  fi
  for url in "$@"; do
    echo "fetching $url/$name"
    # A part that a mirror cannot continue, or that turns out wrong, is fetched once more, whole.
    for attempt in continued whole; do
      [[ $attempt == continued ]] || rm -f "$part"
      if [[ $(sum_of "$part") != "$expected" ]]; then
        status=0
        curl --fail --location --silent --show-error --retry 3 --connect-timeout 20 \
          --continue-at - --output "$part" "$url/$name" || status=$?
        case $status in
          0) ;;
          22 | 33 | 36) continue ;;  # a refused range, among others
          *) break ;;                # no connection: what has come stays, for the next call
        esac
      fi
      found=$(sum_of "$part")
      if [[ $found == "$expected" ]]; then
        mv "$part" "$target"
        return
      fi
      echo "fetch-data.sh: $url/$name: expected MD5 $expected, found ${found:-no file}" >&2
      rm -f "$part"
    done
  done
  fail "$name: expected a download with MD5 $expected from $*, found none" 4
}

fetch_mnist() {
  local folder=$1/MNIST/raw name
  mkdir -p "$folder"
  while read -r _ name; do
    fetch "$name" "$folder" "${mirrors[@]}"
  done <<<"$mnist_sums"
  echo "mnist is in $folder"
}

fetch_cifar10() {
  local folder=$1/cifar-10-batches-bin archive=cifar-10-binary.tar.gz unpacked=$1/.cifar-10.part
  if [[ -e $folder ]]; then
    echo "$folder is there; remove it to fetch it again"
    return
  fi
  mkdir -p "$1"
  fetch "$archive" "$1" "${mirrors[@]}"
  rm -rf "$unpacked"
  mkdir "$unpacked"
  tar -xzf "$1/$archive" -C "$unpacked"
  [[ -d $unpacked/cifar-10-batches-bin ]] ||
    fail "$1/$archive: expected the folder cifar-10-batches-bin, found none" 4
  mv "$unpacked/cifar-10-batches-bin" "$folder"
  rm -r "$unpacked" "$1/$archive"
  echo "cifar10 is in $folder"
}

[[ ${1:-} != --help ]] || { usage; exit 0; }
(($# == 1 || $# == 2)) || { usage >&2; exit 2; }
case $1 in
  mnist) mirrors=("${mnist_mirrors[@]}") sums=$mnist_sums ;;
  cifar10) mirrors=("${cifar10_mirrors[@]}") sums=$cifar10_sums ;;
  *) usage >&2; exit 2 ;;
esac
command -v curl >/dev/null || fail "curl is missing: apt-get install --no-install-recommends curl"
[[ -z ${ISOTAPE_MIRROR:-} ]] || mirrors=("${ISOTAPE_MIRROR%/}")
[[ -z ${ISOTAPE_CHECKSUMS:-} ]] || sums=$(<"$ISOTAPE_CHECKSUMS")
"fetch_$1" "${2:-data}"

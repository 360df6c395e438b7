#!/usr/bin/env bash
# fetch_data_test.sh SCRIPT WORK: scripts/fetch-data.sh against a mirror of small files in WORK.
set -euo pipefail
script=$1
work=$2
rm -rf "$work"
mkdir -p "$work/mirror/cifar-10-batches-bin"
cd "$work"
unset ISOTAPE_DATA
export ISOTAPE_MIRROR=file://$work/mirror ISOTAPE_CHECKSUMS=$work/sums

# The call's output and exit code, in `output` and `status`.
call() {
  status=0
  output=$("$script" "$@" 2>&1) || status=$?
}
# expect WHAT CONDITION...
expect() {
  local what=$1
  shift
  if ! "$@"; then
    printf 'failed: %s\nexit code %s, output:\n%s\n' "$what" "$status" "$output" >&2
    exit 1
  fi
}
says() { [[ $output == *"$1"* ]]; }
exits() { ((status == $1)); }
holds_no_part() { [[ -z $(find . -name '*.part') ]]; }

files=(train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz t10k-images-idx3-ubyte.gz
  t10k-labels-idx1-ubyte.gz)
for file in "${files[@]}"; do seq 1000 | sed "s/^/$file /" >"mirror/$file"; done
echo records >mirror/cifar-10-batches-bin/data_batch_1.bin
tar -czf mirror/cifar-10-binary.tar.gz -C mirror cifar-10-batches-bin
(cd mirror && md5sum ./*.gz | sed 's|\./||') >sums

call
expect 'no data set is a usage error' exits 2
expect 'the usage is shown' says 'usage: scripts/fetch-data.sh mnist|cifar10 [DIR]'
call imagenet
expect 'an unknown data set is a usage error' exits 2
call mnist one two
expect 'a third argument is a usage error' exits 2
call --help
expect 'help is no error' exits 0
expect 'help names the variables' says ISOTAPE_MIRROR

call mnist here
expect 'mnist is fetched' exits 0
expect 'and where it is, is said' says 'mnist is in here/MNIST/raw'
for file in "${files[@]}"; do
  expect "$file is whole" cmp "mirror/$file" "here/MNIST/raw/$file"
done
expect 'no part is left' holds_no_part
call mnist here
expect 'a second call fetches nothing' says 'train-images-idx3-ubyte.gz is there'
expect 'nothing at all' eval '! says fetching'

head -c 3000 mirror/train-images-idx3-ubyte.gz >here/MNIST/raw/train-images-idx3-ubyte.gz.part
rm here/MNIST/raw/train-images-idx3-ubyte.gz
call mnist here
expect 'an interrupted download is continued' \
  cmp mirror/train-images-idx3-ubyte.gz here/MNIST/raw/train-images-idx3-ubyte.gz
expect 'at once' eval '! says "expected MD5"'

echo junk >here/MNIST/raw/train-images-idx3-ubyte.gz
echo junk >here/MNIST/raw/train-images-idx3-ubyte.gz.part
call mnist here
expect 'a wrong file and a wrong part are replaced' \
  cmp mirror/train-images-idx3-ubyte.gz here/MNIST/raw/train-images-idx3-ubyte.gz
expect 'and no part is left' holds_no_part

rm here/MNIST/raw/train-images-idx3-ubyte.gz
cat mirror/*.gz >here/MNIST/raw/train-images-idx3-ubyte.gz.part
call mnist here
expect 'a part longer than the file is replaced' \
  cmp mirror/train-images-idx3-ubyte.gz here/MNIST/raw/train-images-idx3-ubyte.gz

echo old >here/MNIST/raw/t10k-labels-idx1-ubyte.gz
echo more >>mirror/t10k-labels-idx1-ubyte.gz
call mnist here
expect 'a download with a wrong sum is an error' exits 4
expect 'which tells the sums' says 't10k-labels-idx1-ubyte.gz: expected MD5'
expect 'the old file is kept' grep -qx old here/MNIST/raw/t10k-labels-idx1-ubyte.gz
expect 'and no part is left' holds_no_part
rm mirror/t10k-labels-idx1-ubyte.gz
echo part >here/MNIST/raw/t10k-labels-idx1-ubyte.gz.part
call mnist here
expect 'a missing file of the mirror is an error' exits 4
expect 'which names it' says 't10k-labels-idx1-ubyte.gz: expected a download with MD5'
expect 'what had come stays' grep -qx part here/MNIST/raw/t10k-labels-idx1-ubyte.gz.part

(
  unset ISOTAPE_CHECKSUMS
  call mnist original
  expect 'other bytes than the originals are refused' exits 4
  expect 'by their sum' says 'expected MD5 f68b3c2dcbeaaa9fbdd348bbdeb94873'
)

call cifar10
expect 'cifar10 is fetched and unpacked into data' \
  cmp mirror/cifar-10-batches-bin/data_batch_1.bin data/cifar-10-batches-bin/data_batch_1.bin
expect 'without leftovers' eval '[[ $(ls -A data) == cifar-10-batches-bin ]]'
call cifar10
expect 'what is there is kept' says 'data/cifar-10-batches-bin is there'
echo 'fetch-data.sh: all claims hold'

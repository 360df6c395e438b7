#!/usr/bin/env bash
# packages_test.sh SCRIPT: install_packages of scripts/packages.sh with a dpkg-query, sudo and
# apt-get of our own; as an ordinary user, at a terminal and without one.
set -euo pipefail
work=$(mktemp -d)  # where an ordinary user may look, too
trap 'rm -r "$work"' EXIT
mkdir "$work/bin"
cp "$1" "$work/packages.sh"
for tool in bash env cat; do ln -s "$(command -v "$tool")" "$work/bin/$tool"; done
# Only cmake is installed.
cat >"$work/bin/dpkg-query" <<'END'
#!/bin/sh
for package; do :; done
[ "$package" = cmake ] && echo "install ok installed"
END
cat >"$work/bin/apt-get" <<'END'
#!/bin/sh
echo "apt-get $*"
END
chmod +x "$work/bin/dpkg-query" "$work/bin/apt-get"
# The script itself, in a shell that is not root and sees nothing but WORK/bin.
cat >"$work/call" <<END
PATH=$work/bin
set -euo pipefail
source "$work/packages.sh"
install_packages "\$@"
echo "goes on"
END

as_user=()
if ((EUID == 0)); then as_user=(setpriv --reuid=65534 --clear-groups); fi
chmod -R a+rX "$work"
# The calls' output and exit code, in `output` and `status`.
call() {
  status=0
  output=$("${as_user[@]}" bash "$work/call" "$@" 2>&1 </dev/null) || status=$?
}
call_at_terminal() {
  status=0
  output=$("${as_user[@]}" script -qec "bash $work/call $*" /dev/null 2>&1 </dev/null) || status=$?
  output=${output//$'\r'/}
}
sudo_is() { printf '#!/bin/sh\n%s\n' "$1" >"$work/bin/sudo" && chmod a+rx "$work/bin/sudo"; }
expect() {
  local what=$1
  shift
  if ! "$@"; then
    printf 'failed: %s\nexit code %s, output:\n%s\n' "$what" "$status" "$output" >&2
    exit 1
  fi
}
exits() { ((status == $1)); }
is() { [[ $output == "$1" ]]; }
says() { [[ $output == *"$1"* ]]; }
line='packages are missing; install them as root, then run this again:
apt-get install --no-install-recommends -y g++ ninja-build'

call cmake
expect 'with everything there nothing is done' is 'goes on'
for way in call call_at_terminal; do
  rm -f "$work/bin/sudo"
  $way g++ cmake ninja-build
  expect "$way: without sudo, exit code 1" exits 1
  expect "$way: without sudo, the one line" is "$line"
  sudo_is 'exit 1'
  $way g++ cmake ninja-build
  expect "$way: where sudo refuses, exit code 1" exits 1
  expect "$way: where sudo refuses, the one line" is "$line"
  sudo_is '[ "$1" = -n ] || exec "$@"'
  $way g++ cmake ninja-build
  expect "$way: with sudo, the missing packages are installed" \
    says 'apt-get install -q -y --no-install-recommends g++ ninja-build'
  expect "$way: with sudo it goes on" says 'goes on'
done
echo "packages: ok"

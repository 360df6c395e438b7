# Sourced by demo.sh and test.sh, on Debian 12 or newer and Ubuntu 24.04.

# What the library and the command are built with, and what the tests add.
build_packages=(g++ cmake ninja-build ccache libdnnl-dev libopenblas-openmp-dev libcli11-dev
  nlohmann-json3-dev libfmt-dev libtomlplusplus-dev zlib1g-dev libssl-dev)
test_packages=(doctest-dev libboost-dev curl)
# What opens the reports in a browser, where it is missing: Ubuntu's chromium is none of its packages.
browser_packages=()
if grep -qx 'ID=debian' /etc/os-release 2>/dev/null; then
  command -v chromium >/dev/null || browser_packages+=(chromium)
  command -v node >/dev/null || browser_packages+=(nodejs)
  command -v npm >/dev/null || browser_packages+=(npm)
fi

# Whether sudo is there and lets us: without a password, or, at a terminal, after asking for it.
may_sudo() {
  command -v sudo >/dev/null || return 1
  sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }
}

# install_packages PACKAGE...: installs those that are missing, as root or by sudo. Without the
# right to do that, prints the one line to run and exits 1.
install_packages() {
  local package missing=()
  for package in "$@"; do
    if [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) != *" installed" ]]; then
      missing+=("$package")
    fi
  done
  ((${#missing[@]} > 0)) || return 0

  local as_root=()
  if ((EUID != 0)); then
    if ! may_sudo; then
      echo "packages are missing; install them as root, then run this again:" >&2
      echo "apt-get install --no-install-recommends -y ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"
}

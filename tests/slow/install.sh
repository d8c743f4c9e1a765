#!/bin/sh
# Installs what the slow tests need from Debian's or Ubuntu's packages.
set -eu

packages="
  chromium
  clang
  cmake
  g++
  g++-aarch64-linux-gnu
  gcc-aarch64-linux-gnu
  gcc-arm-none-eabi
  libc6-dev-arm64-cross
  libnewlib-arm-none-eabi
  munge
  qemu-system-arm
  qemu-user
  slurm-wlm
"

missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

root=""
[ "$(id -u)" = 0 ] || root=sudo
$root apt-get update -qq
# shellcheck disable=SC2086  # A list of words.
DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $missing

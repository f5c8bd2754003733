#!/bin/sh
# app.sh FOLDER ADDON: what a processor in emulation needs to check an add-on with Node alone (outputs.ts): the compiled
# checks, the add-on where the program looks for it, and what the portable kernels answer here, in FOLDER/portable.txt.
# CASES chooses.
set -e
rm -rf "$1"
mkdir -p "$1/native/build"
npx tsc -p test/emulation --outDir "$1/js"
cp package.json "$1/"
cp native/CMakeLists.txt "$1/native/"
cp native/build/mn_video.node native/build/mn_video.node.sha256 "$1/native/build/"
MN_VIDEO_ISA=portable node "$1/js/test/emulation/outputs.js" write "$1/portable.txt" "$CASES"
cp "$2" "$2.sha256" "$1/native/build/"

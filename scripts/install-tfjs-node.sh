#!/bin/sh
# Installs @tensorflow/tfjs-node (--gpu: tfjs-node-gpu) on a current TensorFlow, for `--engine tfjs`. Its own install
# script downloads TensorFlow's C library from a server that refuses most users; here the library and its headers come
# from TensorFlow's Python wheel, and the binding is built from the package's own source.
#
#   sh scripts/install-tfjs-node.sh [--gpu] [--tensorflow VERSION]
#   sh scripts/install-tfjs-node.sh --remove
#
# Everything goes to build/tensorflow: package.json, its lock and node_modules stay as they are. Needs Linux (x86-64),
# npm, Python with pip, unzip and g++. See docs/tensorflow.md.
set -eu
cd "$(dirname "$0")/.."

tfjs=4.22.0
tensorflow=2.21.0
folder=build/tensorflow

say() { printf 'tfjs-node: %s\n' "$*"; }
fail() {
  printf 'tfjs-node: %s\n' "$*" >&2
  exit 1
}

package=tfjs-node
wheel=tensorflow-cpu
while [ $# -gt 0 ]; do
  case $1 in
    --gpu)
      package=tfjs-node-gpu
      wheel=tensorflow
      ;;
    --tensorflow)
      [ $# -gt 1 ] || fail '--tensorflow needs a version, such as 2.21.0'
      tensorflow=$2
      shift
      ;;
    --remove)
      rm -rf "$folder"
      say "removed $folder"
      exit 0
      ;;
    *) fail "there is no option $1. Give --gpu, --tensorflow VERSION or --remove." ;;
  esac
  shift
done

[ "$(uname -sm)" = 'Linux x86_64' ] || fail "this is $(uname -sm); only Linux x86_64 has been tried"
[ -d node_modules/@tensorflow/tfjs-core ] || fail 'the program itself is not installed yet: run npm ci first'
for program in npm python3 unzip g++ sha256sum; do
  command -v "$program" >/dev/null 2>&1 || fail "$program is needed and not on PATH"
done
python3 -m pip --version >/dev/null 2>&1 || fail 'pip is needed: apt-get install python3-pip'

# Built aside and moved into place when it works, so that a failure leaves what was there.
work=$folder.new
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
mkdir -p "$work/wheels"

say "@tensorflow/$package $tfjs from npm"
echo '{ "private": true }' >"$work/package.json"
(cd "$work" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error "@tensorflow/$package@$tfjs")
# One copy of these in a process: the ones that the program itself uses, which Node finds further up.
rm -rf "$work/node_modules/@tensorflow/tfjs-core" "$work/node_modules/@tensorflow/tfjs-backend-cpu"
root=$work/node_modules/@tensorflow/$package

# The package's own checksum, as npm keeps it.
sed -n "/\"node_modules.@tensorflow.$package\"/,/integrity/s/.*\"integrity\": \"\(.*\)\".*/\1  $package-$tfjs.tgz/p" \
  "$work/package-lock.json" >"$work/CHECKSUMS"

# Wheels are made per version of Python; their C library is the same in each.
download() {
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --dest "$work/wheels" "$@"
}
say "$wheel $tensorflow from PyPI"
download --python-version 3.12 --implementation cp --abi cp312 \
  --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
  "$wheel==$tensorflow" || fail "PyPI has no $wheel $tensorflow for Linux x86_64"
mkdir -p "$root/deps/lib"
unzip -q -o "$work"/wheels/tensorflow*.whl 'tensorflow/libtensorflow_cc.so.2' 'tensorflow/libtensorflow_framework.so.2' \
  'tensorflow/include/tensorflow/c/*' 'tensorflow/include/tensorflow/core/platform/ctstring*' \
  'tensorflow/include/tsl/platform/ctstring*' 'tensorflow/include/xla/tsl/c/*' '*/METADATA' -d "$work/wheel" ||
  fail "the wheel of TensorFlow $tensorflow has another layout; use --tensorflow 2.21.0"
(cd "$work/wheels" && sha256sum ./*.whl) | sed 's|\./||' >>"$work/CHECKSUMS"
rm "$work"/wheels/tensorflow*.whl
mv "$work"/wheel/tensorflow/libtensorflow_*.so.2 "$root/deps/lib/"

if [ "$package" = tfjs-node-gpu ]; then
  # CUDA and cuDNN in the versions that this TensorFlow names; its library looks for them in ../nvidia.
  sed -n 's/^Requires-Dist: \(nvidia-[^;]*\);.*and-cuda.*/\1/p' "$work"/wheel/tensorflow-*.dist-info/METADATA |
    tr -d '() ' >"$work/cuda.txt"
  [ -s "$work/cuda.txt" ] || fail "the wheel of TensorFlow $tensorflow names no CUDA packages"
  say "CUDA from PyPI: $(tr '\n' ' ' <"$work/cuda.txt")"
  download --requirement "$work/cuda.txt"
  (cd "$work/wheels" && sha256sum ./*.whl) | sed 's|\./||' >>"$work/CHECKSUMS"
  for cuda in "$work"/wheels/nvidia_*.whl; do
    unzip -q -o "$cuda" 'nvidia/*' -x '*/include/*' -d "$root/deps"
    rm "$cuda"
  done
fi

say 'building the binding'
mkdir -p "$root/lib/napi-v8"
g++ -std=c++17 -O2 -fPIC -shared -DNAPI_VERSION=8 \
  -I node_modules/node-api-headers/include -I "$work/wheel/tensorflow/include" \
  "$root/binding/tfjs_backend.cc" "$root/binding/tfjs_binding.cc" -o "$root/lib/napi-v8/tfjs_binding.node" \
  "$root/deps/lib/libtensorflow_cc.so.2" "$root/deps/lib/libtensorflow_framework.so.2" \
  '-Wl,-rpath,$ORIGIN/../../deps/lib'

(cd "$root" && sha256sum lib/napi-v8/tfjs_binding.node deps/lib/*) >>"$work/CHECKSUMS"
rm -rf "$work/wheels" "$work/wheel" "$work/cuda.txt"

say 'trying it'
MN_VIDEO_TRIAL=$root node -e '
  process.env.TF_CPP_MIN_LOG_LEVEL ??= "2"
  const util = require("node:util")
  util.isNullOrUndefined ??= (value) => value === null || value === undefined
  const tf = require(require("node:path").resolve(process.env.MN_VIDEO_TRIAL))
  const sum = tf.sum(tf.conv2d(tf.ones([1, 4, 4, 2]), tf.ones([3, 3, 2, 2]), 1, "valid")).dataSync()[0]
  if (sum !== 144) throw new Error(`a convolution of ones gives ${sum} in place of 144`)
  const { binding, isUsingGpuDevice } = tf.backend()
  console.log(`tfjs-node: TensorFlow ${binding.TF_Version} computes on the ${isUsingGpuDevice ? "GPU" : "CPU"}`)' ||
  fail "TensorFlow $tensorflow does not work with the binding here; nothing was changed"

rm -rf "$folder"
mv "$work" "$folder"
trap - EXIT
say "ready in $folder ($(du -sh "$folder" | cut -f1)); checksums (npm's of the package, then SHA-256):"
cat "$folder/CHECKSUMS"
say 'see it with: mn-video doctor; undo with: sh scripts/install-tfjs-node.sh --remove'

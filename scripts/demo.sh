#!/bin/sh
# The main job on real input: renders a clip, makes a model, classifies the clip at two budgets.
set -eu
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
clip="$folder/a turning shape.mp4"
run="$folder/x3d"

mn_video() {
  echo "\$ mn-video $*"
  node dist/cli/main.js "$@"
  echo
}

echo '$ ffmpeg … # renders four seconds of a pattern that turns'
"${MN_VIDEO_FFMPEG:-ffmpeg}" -hide_banner -loglevel error -f lavfi -i testsrc2=size=340x256:rate=30:duration=4 \
  -vf 'rotate=t:fillcolor=gray' -pix_fmt yuv420p "$clip"
echo

mn_video profile configs/x3d.yml
mn_video init configs/x3d.yml --out "$run"
mn_video eval --clip "$clip" --model "$run" --gflops 4
mn_video eval --clip "$clip" --model "$run" --gflops 0.5

#!/bin/sh
# The main job on real input: renders a data set of labelled clips, trains one network for every budget, tests all its
# configurations, and classifies an unseen clip at two budgets. About five minutes on two cores with the native engine.
set -eu
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

mn_video() {
  echo "\$ mn-video $*"
  node dist/cli/main.js "$@"
  echo
}

mn_video data make-motion --out "$folder/motion"
mn_video train configs/motion-x3d.yml --set dataset_dir="$folder/motion" --out "$folder/run" "$@"
mn_video test "$folder/run" --widths 1,0.8,0.63 --sizes 48,36,28 --frames 8,5,3
clip="$folder/motion/val/move_left/0001.mp4"
mn_video eval --clip "$clip" --model "$folder/run" --mflops 13 --topk 3
mn_video eval --clip "$clip" --model "$folder/run" --mflops 3 --topk 3

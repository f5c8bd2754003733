#!/bin/sh
# In a folder with the packages' tarballs: installs them as a user does, without scripts, and uses what is there. Needs
# Node and npm; classifies a video, too, where there is FFmpeg.
set -eu

say() { printf 'installed: %s\n' "$*"; }
fail() {
  say "FAILED: $*"
  exit 1
}
contains() { # contains FILE PATTERN
  grep -Eq "$2" "$1" || { cat "$1"; fail "no line $2"; }
}

rm -rf node_modules package.json package-lock.json runs
npm init -y >/dev/null
start=$(date +%s)
npm install --ignore-scripts --no-audit --no-fund --loglevel=error --prefer-offline ./*.tgz
seconds=$(($(date +%s) - start))
megabytes=$(du -sm --exclude=ffmpeg-static --apparent-size node_modules | cut -f1)
say "$megabytes MB in $(ls -d node_modules/*/ node_modules/@*/*/ | grep -vc '/@[^/]*/$') packages, installed in $seconds s"
[ "$megabytes" -le 60 ] || fail "more than 60 MB"

# Fails where FFmpeg is missing.
npx mn-video doctor >doctor.txt 2>&1 || grep -q '^FFmpeg *missing' doctor.txt || fail 'doctor fails'
contains doctor.txt '^native +ok +native, '
contains doctor.txt '^default engine +ok +native, '

node -e "require('sharp')({ create: { width: 64, height: 48, channels: 3, background: '#369' } }).toFile('picture.png')"
npx mn-video init mobilenet_v1 --out runs/images >/dev/null
npx mn-video eval --image picture.png --model runs/images --mflops 20 >picture.txt
contains picture.txt '^engine +native, '
contains picture.txt '^ +1 '
say "$(grep '^chosen' picture.txt)"
if command -v ffmpeg >/dev/null; then
  ffmpeg -v error -y -f lavfi -i testsrc=duration=2:size=160x120:rate=25 clip.mp4
  npx mn-video init x3d --out runs/x3d >/dev/null
  npx mn-video eval --clip clip.mp4 --model runs/x3d --gflops 0.5 >clip.txt
  contains clip.txt '^engine +native, '
  contains clip.txt '^ +1 '
  say "$(grep '^chosen' clip.txt)"
else
  say 'no FFmpeg here: no video classified'
fi

node_modules/.bin/mn-video serve runs/images --port 0 >serve.txt 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in $(seq 100); do
  grep -q '^serving on ' serve.txt && break
  sleep 0.2
done
url=$(sed -n 's/^serving on //p' serve.txt)
[ -n "$url" ] || { cat serve.txt; fail 'it does not serve'; }
URL=$url node -e "
const { URL: url } = process.env
const page = async (path) => (await fetch(url + path)).text()
;(async () => {
  if (!(await page('')).includes('/page.js') || (await page('page.js')).length < 1000) throw new Error('no page')
  const body = require('fs').readFileSync('picture.png')
  const answer = await fetch(url + 'v1/classify', { method: 'POST', headers: { 'content-type': 'image/png' }, body })
  console.log((await answer.json()).top[0].label)
})()" >served.txt || { cat serve.txt; fail 'the server does not answer'; }
kill $server
wait $server || fail 'the server does not stop'
say "served: $(cat served.txt)"

npm install --ignore-scripts --no-audit --no-fund --loglevel=error --prefer-offline --save-dev typescript@5 @types/node@20
cat >program.mts <<'END'
import { type Classification, classify, loadModel, MnVideoError, type Model, profile } from 'mn-video'

const { macs } = await profile('slowfast', { width: 0.63, frames: 2, size: 144 })
const model: Model = await loadModel('runs/images')
const answer: Classification = await classify(model, 'picture.png', { budget: { gflops: 1 } })
const [best] = answer.ranking
if (!best || macs < 1e9) throw new MnVideoError('run', 'nothing was classified')
console.log(best.label, best.score, answer.configuration.width)
model.dispose()
END
npx tsc --strict --module nodenext --target es2022 --exactOptionalPropertyTypes --noUncheckedIndexedAccess program.mts
node program.mjs >program.txt || { cat program.txt; fail 'the TypeScript program'; }
say "passed: $(cat program.txt)"

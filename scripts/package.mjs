// Makes the packages that are published, as tarballs in build/packages: `npm run package`, after `npm run build`.
//
//   npm run package                    mn-video, and an add-on for every platform
//   npm run package -- linux-x64       mn-video, and this one's
//   npm run package -- --own           mn-video, and what this checkout built for itself, for trying
//   npm run package -- --out FOLDER    tarballs there
//
// Add-ons for other machines come from the compiler in PyPI's wheel of Zig, which carries old C libraries and those of
// other systems. On Linux the kernels are compiled by GCC: what Clang makes of them is a quarter slower with AVX2.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  describePlatform,
  OLDEST_GLIBC,
  PLATFORMS,
  packageOf,
  thisPlatform,
} from '../dist/engines/native/platforms.js'
import { compile, telling } from '../native/compile.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/[/\\]$/, '')
const ADDONS = join(ROOT, 'build/native')
const ZIG_VERSION = '0.17.1'
const ZIG = join(ROOT, 'build/zig', ZIG_VERSION)

/** How Zig and CMake call a platform, and the compiler of its kernels where that is not Zig's. */
const CROSS = {
  'linux-x64': {
    triple: `x86_64-linux-gnu.${OLDEST_GLIBC}`,
    system: 'Linux',
    processor: 'x86_64',
    kernels: ['g++'],
  },
  'linux-arm64': {
    triple: `aarch64-linux-gnu.${OLDEST_GLIBC}`,
    system: 'Linux',
    processor: 'aarch64',
    // Its helpers for processors without atomic instructions are in libgcc, which is not linked.
    kernels: ['aarch64-linux-gnu-g++', '-mno-outline-atomics'],
  },
  'linux-x64-musl': { triple: 'x86_64-linux-musl', system: 'Linux', processor: 'x86_64', kernels: ['g++'] },
  'linux-arm64-musl': {
    triple: 'aarch64-linux-musl',
    system: 'Linux',
    processor: 'aarch64',
    kernels: ['aarch64-linux-gnu-g++', '-mno-outline-atomics'],
  },
  'darwin-arm64': { triple: 'aarch64-macos.11.0', system: 'Darwin', processor: 'arm64' },
}

/**
 * Dependencies that travel inside mn-video's own package, with the files of theirs that are needed: whole, these are 77
 * MB, with source maps, builds for browsers and coverage reports. What they depend on comes along.
 */
const BUNDLED = {
  '@tensorflow/tfjs-core': ['dist/tf-core.node.js'],
  '@tensorflow/tfjs-backend-cpu': ['dist/tf-backend-cpu.node.js'],
  '@tensorflow/tfjs-backend-wasm': [
    'dist/tf-backend-wasm.node.js',
    'dist/tfjs-backend-wasm.wasm',
    'dist/tfjs-backend-wasm-simd.wasm',
    'dist/tfjs-backend-wasm-threaded-simd.wasm',
  ],
  'fluent-ffmpeg': ['index.js', 'lib'],
}

const { values: options, positionals } = parseArgs({
  options: { own: { type: 'boolean', default: false }, out: { type: 'string' } },
  allowPositionals: true,
})
const PACKAGES = resolve(options.out ?? join(ROOT, 'build/packages'))
const nameOf = (platform) => packageOf(platform).replace('@mn-video/native-', '')
const unknown = positionals.filter((name) => !PLATFORMS.some((platform) => nameOf(platform) === name))
if (unknown.length > 0)
  fail(`no platform ${unknown.join(', ')}. Give any of ${PLATFORMS.map(nameOf).join(', ')}.`)

const project = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
const shared = Object.fromEntries(['version', 'license', 'engines'].map((key) => [key, project[key]]))
await rm(PACKAGES, { recursive: true, force: true })
pack(await stageProgram())
if (options.own) {
  const file = join(ROOT, 'native/build/mn_video.node')
  if (!existsSync(file)) fail('this checkout has built no add-on: npm run build:native')
  pack(await stageAddon(thisPlatform(), file))
} else {
  for (const platform of PLATFORMS) {
    if (positionals.length > 0 && !positionals.includes(nameOf(platform))) continue
    const file = await crossCompile(platform)
    pack(await stageAddon(platform, file))
  }
}

/** The program without sources, tests and what only a checkout needs. */
async function stageProgram() {
  const folder = join(PACKAGES, 'mn-video')
  for (const name of ['dist', 'configs', 'README.md', 'CHANGELOG.md', 'LICENSE']) {
    await cp(join(ROOT, name), join(folder, name), {
      recursive: true,
      filter: (path) => !path.endsWith('.map'),
    })
  }
  for (const [name, files] of Object.entries(BUNDLED)) {
    await bundle(join(ROOT, 'node_modules', name), folder, files)
  }
  const { private: _, scripts, devDependencies, allowScripts, ...published } = project
  await writePackage(folder, {
    ...published,
    optionalDependencies: {
      ...published.optionalDependencies,
      // Exactly these: what program and add-on say to each other may change with every version.
      ...Object.fromEntries(PLATFORMS.map((platform) => [packageOf(platform), project.version])),
    },
    bundleDependencies: Object.keys(BUNDLED),
  })
  return folder
}

/** Copies a package, or some files of it, to the same place in `to`, and what it depends on, less packages of types. */
async function bundle(from, to, files) {
  const folder = join(to, relative(ROOT, from))
  if (existsSync(folder)) return
  const described = JSON.parse(await readFile(join(from, 'package.json'), 'utf8'))
  const licences = (await readdir(from)).filter((file) => /^licen[cs]e/i.test(file))
  for (const file of files ? [...files, ...licences] : ['.']) {
    await cp(join(from, file), join(folder, file), {
      recursive: true,
      filter: (path) => basename(path) !== 'node_modules',
    })
  }
  const dependencies = Object.fromEntries(
    Object.entries(described.dependencies ?? {}).filter(([name]) => !/^@types\/|^@webgpu\/types$/.test(name)),
  )
  const { devDependencies, scripts, ...rest } = described
  await writePackage(folder, { ...rest, dependencies })
  for (const name of Object.keys(dependencies)) await bundle(locate(name, from), to)
}

/** Where a package is that another one requires, as Node looks for it. */
function locate(name, from) {
  for (let folder = from; folder.startsWith(ROOT); folder = dirname(folder)) {
    const path = join(folder, 'node_modules', name)
    if (existsSync(path)) return path
  }
  return fail(`${name}, which ${from} requires, is not installed: npm ci`)
}

/** An add-on's package, which npm installs where it fits. */
async function stageAddon(platform, file) {
  const name = packageOf(platform)
  const folder = join(PACKAGES, basename(name))
  await mkdir(folder, { recursive: true })
  for (const each of [file, `${file}.sha256`]) await cp(each, join(folder, basename(each)))
  await cp(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'))
  const what = `The native engine of mn-video for ${describePlatform(platform)}`
  await writeFile(
    join(folder, 'README.md'),
    `# ${name}\n\n${what}. Installed by \`npm install mn-video\`; of no use alone.\n`,
  )
  await writePackage(folder, {
    name,
    ...shared,
    description: `${what}.`,
    os: [platform.os],
    cpu: [platform.cpu],
    ...(platform.libc && { libc: [platform.libc] }),
    main: basename(file),
    preferUnplugged: true,
  })
  return folder
}

async function crossCompile(platform) {
  const name = nameOf(platform)
  const { triple, system, processor, kernels } = CROSS[name]
  const zig = findZig()
  const compiler = kernels?.[0]
  if (compiler && !runs(compiler))
    fail(`${compiler} is missing; on Debian: apt-get install ${debianPackage(compiler)}`)
  const folder = join(ADDONS, name)
  await mkdir(folder, { recursive: true })
  const script = async (file, lines) => {
    await writeFile(join(folder, file), `#!/bin/sh\n${lines}\n`)
    await chmod(join(folder, file), 0o755)
    return join(folder, file)
  }
  const clang = `exec '${zig}' c++ -target ${triple} "$@"`
  const definitions = {
    CMAKE_SYSTEM_NAME: system,
    CMAKE_SYSTEM_PROCESSOR: processor,
    CMAKE_AR: await script('ar', `exec '${zig}' ar "$@"`),
    CMAKE_RANLIB: await script('ranlib', `exec '${zig}' ranlib "$@"`),
    CMAKE_CXX_COMPILER: await script(
      'c++',
      // Kernels use nothing of the C++ library.
      kernels ? `case " $* " in *" -DMN_ISA="*) exec ${kernels.join(' ')} "$@" ;; esac\n${clang}` : clang,
    ),
    CMAKE_MODULE_LINKER_FLAGS: '-s',
  }
  const built = await compile({ folder, definitions, tell: telling(`add-on for ${name}`) })
  if (!('file' in built)) fail(`the add-on for ${name} does not compile: ${built.reason} (${built.log})`)
  if (platform.libc === 'glibc') checkGlibc(built.file)
  return built.file
}

/** @returns Zig's program, installed below build/ the first time */
function findZig() {
  const program = join(ZIG, 'ziglang/zig')
  if (existsSync(program)) return program
  console.log(`package: installing ziglang ${ZIG_VERSION} into ${ZIG}`)
  try {
    execFileSync('python3', ['-m', 'pip', 'install', '--quiet', '--target', ZIG, `ziglang==${ZIG_VERSION}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  } catch {
    fail(`Zig is not to be had: python3 -m pip install --target ${ZIG} ziglang==${ZIG_VERSION} failed`)
  }
  return program
}

/** Every function that it takes from glibc has to be in the oldest one that is promised. */
function checkGlibc(file) {
  const symbols = execFileSync('objdump', ['-T', file], { encoding: 'utf8' })
  const versions = [...new Set([...symbols.matchAll(/GLIBC_([\d.]+)/g)].map(([, version]) => version))]
  const newer = versions.filter((version) => version.localeCompare(OLDEST_GLIBC, 'en', { numeric: true }) > 0)
  if (newer.length > 0) fail(`${file} needs glibc ${newer.join(', ')}, newer than ${OLDEST_GLIBC}`)
}

async function writePackage(folder, described) {
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(described, null, 2)}\n`)
}

function pack(folder) {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', PACKAGES]
  const output = execFileSync('npm', args, {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const packed = JSON.parse(output)
  const [{ filename, size, unpackedSize }] = Array.isArray(packed) ? packed : Object.values(packed)
  const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`
  console.log(
    `${relative(process.cwd(), join(PACKAGES, filename))}: ${mb(size)}, ${mb(unpackedSize)} installed`,
  )
}

function debianPackage(compiler) {
  return compiler === 'g++' ? 'g++' : `g++-${compiler.replace(/-g\+\+$/, '').replace('_', '-')}`
}

function runs(program) {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function fail(message) {
  console.error(`package: ${message}`)
  process.exit(1)
}

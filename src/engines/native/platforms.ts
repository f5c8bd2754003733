/** The platforms that the add-on is published for, one package each, which npm installs where `os`, `cpu` and `libc` fit. */

export interface Platform {
  readonly os: NodeJS.Platform
  readonly cpu: NodeJS.Architecture
  /** On Linux: whose add-on a process of the other cannot load. */
  readonly libc?: Libc
}

export type Libc = 'glibc' | 'musl'

/** The oldest glibc that the add-ons for it load on: RHEL 8's, and what Node 20 itself needs. */
export const OLDEST_GLIBC = '2.28'

export const PLATFORMS: readonly Platform[] = [
  { os: 'linux', cpu: 'x64', libc: 'glibc' },
  { os: 'linux', cpu: 'arm64', libc: 'glibc' },
  { os: 'linux', cpu: 'x64', libc: 'musl' },
  { os: 'linux', cpu: 'arm64', libc: 'musl' },
  { os: 'darwin', cpu: 'arm64' },
]

/** `@mn-video/native-linux-x64`, `@mn-video/native-linux-x64-musl`, … */
export function packageOf({ os, cpu, libc }: Platform): string {
  return `@mn-video/native-${os}-${cpu}${libc === 'musl' ? '-musl' : ''}`
}

/** Where this process runs. */
export function thisPlatform(): Platform {
  const { platform: os, arch: cpu } = process
  return os === 'linux' ? { os, cpu, libc: thisLibc() } : { os, cpu }
}

/** For people: `linux x64 (musl)`. */
export function describePlatform({ os, cpu, libc }: Platform): string {
  return `${os} ${cpu}${libc ? ` (${libc})` : ''}`
}

function thisLibc(): Libc {
  // Else it would look up the names of all connections' hosts (Node 20.13, 22 and later know the property).
  Object.assign(process.report, { excludeNetwork: true })
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
  return header.glibcVersionRuntime === undefined ? 'musl' : 'glibc'
}

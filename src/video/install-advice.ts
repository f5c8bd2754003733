/**
 * Says how FFmpeg is installed on a system: the one command, by what the system says of itself. It runs nothing and
 * does not look which package managers are there.
 */
import { readFileSync } from 'node:fs'

export interface System {
  readonly platform: NodeJS.Platform
  /** The text of /etc/os-release, empty where there is none. */
  readonly osRelease: string
  /** Whether the user may install without asking for more rights. */
  readonly root: boolean
}

/** By the ID of os-release, or by one that a derivative says it is like. */
const LINUX_COMMANDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['debian', ['apt-get install ffmpeg']],
  ['ubuntu', ['apt-get install ffmpeg']],
  ['fedora', ['dnf install ffmpeg-free']],
  // It is in EPEL, and libraries that it needs are in CRB, which is off by default.
  ['rhel', ['dnf install epel-release', 'dnf install --enablerepo=crb ffmpeg-free']],
  ['alpine', ['apk add ffmpeg']],
  ['arch', ['pacman -S ffmpeg']],
  ['suse', ['zypper install ffmpeg']],
])

/** What to type to install FFmpeg, such as `sudo apt-get install ffmpeg`; in words where the system is not known. */
export function installAdvice({ platform, osRelease, root }: System): string {
  if (platform === 'darwin') return 'brew install ffmpeg'
  if (platform === 'win32') return 'winget install ffmpeg'
  const names = platform === 'linux' ? namesOf(osRelease) : []
  const known = names.find((name) => LINUX_COMMANDS.has(name))
  if (known === undefined) return "with this system's package manager"
  // Alpine comes with doas in sudo's place.
  const asRoot = root ? '' : known === 'alpine' ? 'doas ' : 'sudo '
  return LINUX_COMMANDS.get(known)!
    .map((command) => asRoot + command)
    .join(' && ')
}

/** The system that this runs on. */
export function thisSystem(): System {
  const { platform } = process
  const osRelease = platform === 'linux' ? readOsRelease() : ''
  return { platform, osRelease, root: process.getuid?.() === 0 }
}

/** What a Linux calls itself, then what it says it is like, the closest first. */
function namesOf(osRelease: string): string[] {
  return ['ID', 'ID_LIKE'].flatMap((key) => {
    const value = new RegExp(`^${key}=(["']?)(.*)\\1\\s*$`, 'm').exec(osRelease)?.[2] ?? ''
    return value.split(/\s+/)
  })
}

/** From the two places that os-release(5) names. */
function readOsRelease(): string {
  for (const path of ['/etc/os-release', '/usr/lib/os-release']) {
    try {
      return readFileSync(path, 'utf8')
    } catch {}
  }
  return ''
}

import { describe, expect, it } from 'vitest'
import { installAdvice } from '../../src/video/install-advice.ts'
import { OS_RELEASES } from '../support/os-releases.ts'

const UNKNOWN = "with this system's package manager"

describe('how FFmpeg is installed', () => {
  it.each<[keyof typeof OS_RELEASES, string, string]>([
    ['debian12', 'sudo apt-get install ffmpeg', 'apt-get install ffmpeg'],
    ['ubuntu24', 'sudo apt-get install ffmpeg', 'apt-get install ffmpeg'],
    ['mint20', 'sudo apt-get install ffmpeg', 'apt-get install ffmpeg'],
    ['fedora41', 'sudo dnf install ffmpeg-free', 'dnf install ffmpeg-free'],
    [
      'rocky9',
      'sudo dnf install epel-release && sudo dnf install --enablerepo=crb ffmpeg-free',
      'dnf install epel-release && dnf install --enablerepo=crb ffmpeg-free',
    ],
    ['alpine322', 'doas apk add ffmpeg', 'apk add ffmpeg'],
    ['arch', 'sudo pacman -S ffmpeg', 'pacman -S ffmpeg'],
    ['leap15', 'sudo zypper install ffmpeg', 'zypper install ffmpeg'],
    ['tumbleweed', 'sudo zypper install ffmpeg', 'zypper install ffmpeg'],
    ['nixos25', UNKNOWN, UNKNOWN],
  ])('on %s: %s', (name, asUser, asRoot) => {
    const linux = { platform: 'linux', osRelease: OS_RELEASES[name] } as const
    expect(installAdvice({ ...linux, root: false })).toBe(asUser)
    expect(installAdvice({ ...linux, root: true })).toBe(asRoot)
  })

  it('is by Homebrew on macOS and by winget on Windows, without other rights', () => {
    const told = { osRelease: '', root: false }
    expect(installAdvice({ ...told, platform: 'darwin' })).toBe('brew install ffmpeg')
    expect(installAdvice({ ...told, platform: 'win32' })).toBe('winget install ffmpeg')
  })

  it('is said in words where the system does not say what it is', () => {
    expect(installAdvice({ platform: 'linux', osRelease: '', root: false })).toBe(UNKNOWN)
    expect(installAdvice({ platform: 'freebsd', osRelease: 'ID=freebsd\n', root: true })).toBe(UNKNOWN)
  })

  it.each([
    "ID='debian'\n",
    'ID=debian',
    'NAME=x\r\nID=debian\r\nX=y\r\n',
    'ID=own\nID_LIKE="other  debian"\n',
  ])('reads os-release as a shell would: %j', (osRelease) => {
    expect(installAdvice({ platform: 'linux', osRelease, root: true })).toBe('apt-get install ffmpeg')
  })
})

/** What is quoted in messages came from outside: it must not move the cursor, and must end. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../src/config/index.ts'
import { parseList } from '../src/data/sets/lists.ts'
import { asMessage, MnVideoError, shown } from '../src/errors.ts'
import { mnVideo } from './support/cli.ts'
import { temporaryFolder } from './support/small-run.ts'

const folder = await temporaryFolder()
const ESCAPES = '\u001b]0;title\u0007\u001b[2J\u009b31m\u202e'
// biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
const HARMFUL = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/

describe('a message', () => {
  it('has no control characters, and a name with any stands on one line', () => {
    expect(shown('a b/ü 1.mp4')).toBe('a b/ü 1.mp4')
    expect(shown('a\nb')).toBe('"a\\nb"')
    expect(shown(`a${ESCAPES}b`)).not.toMatch(HARMFUL)
    expect(new MnVideoError('data', `${ESCAPES}: is no file.\nGive one.`).message).toBe(
      '\\u001b]0;title\\u0007\\u001b[2J\\u009b31m\\u202e: is no file.\nGive one.',
    )
  })

  it('is bounded, and keeps the start and the end of what is long', () => {
    const name = `${'a'.repeat(1000)}.mp4`
    expect(shown(name)).toHaveLength(300)
    expect(shown(name)).toMatch(/^a+…a+\.mp4$/)
    expect(asMessage(`${'x'.repeat(5000)}: no such file.`)).toMatch(/^x+…x+: no such file\.$/)
    expect(asMessage('line\n'.repeat(100)).split('\n')).toHaveLength(6)
  })

  it.each([
    ['a list', () => parseList(`${'a'.repeat(3000)}${ESCAPES} x`, 'list.csv')],
    ['the name of a list', () => parseList('', `${'a'.repeat(3000)}${ESCAPES}`)],
    ['a configuration', () => parseConfig(`model: x3d\n${'k'.repeat(3000)}: 1`, 'c.yml')],
    ['a value', () => parseConfig(`model: ${JSON.stringify(`${ESCAPES}${'k'.repeat(3000)}`)}`, 'c.yml')],
  ])('about %s is both', (_, act) => {
    let message = ''
    try {
      act()
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).not.toBe('')
    expect(message).not.toMatch(HARMFUL)
    expect(message.length).toBeLessThan(1300)
  })

  it('of the program is both, whatever an option or a file is called', async () => {
    const long = 'a'.repeat(3000)
    const name = `class${ESCAPES}`
    await mkdir(join(folder, 'set', name), { recursive: true })
    await writeFile(join(folder, 'set', name, `${ESCAPES}.txt`), '')
    const commands = [
      ['eval', '--clip', 'x.mp4', '--gflops', long],
      [long],
      ['init', long, '--out', 'x'],
      ['data', 'check', `${long}${ESCAPES}`],
      ['data', 'stats', 'set'],
      ['train', 'x3d', '--set', `dataset_dir=${long}`],
      ['eval', '--clip', long, '--model', long],
      ['test', long],
    ]
    for (const args of commands) {
      const { code, stderr } = await mnVideo(args, { cwd: folder })
      expect(code).toBeGreaterThan(0)
      expect(stderr).toMatch(/^(mn-video|error): /)
      expect(stderr).not.toMatch(HARMFUL)
      expect(stderr.length, args.join(' ').slice(0, 40)).toBeLessThan(1300)
    }
  })
})

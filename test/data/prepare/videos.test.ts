/** Preparation of the video data sets, on miniature copies of what their owners give. */
import { readFile } from 'node:fs/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { prepareDataset, recipeNamed } from '../../../src/data/prepare/index.ts'
import { parseList } from '../../../src/data/sets/lists.ts'
import { parseMultiLabelList } from '../../../src/data/sets/multi-label-lists.ts'
import { testFolder } from '../../support/render.ts'
import { type Tree, writeTree } from '../../support/tree.ts'

const folder = await testFolder()
afterAll(folder.remove)
let copies = 0

/** Prepares a miniature and reads back the lists it wrote, paths relative to the data. */
async function prepared(name: string, tree: Tree) {
  const root = await writeTree(folder.path(`${name}-${++copies}`), tree)
  const out = `${root}-lists`
  const written = await prepareDataset(recipeNamed(name), root, out, { root })
  const list = async (file: string) => {
    const text = await readFile(`${out}/${file}`, 'utf8')
    const entries = /[ \t](-|\d+(;\d+)+)$/m.test(text)
      ? parseMultiLabelList(text, file).map(({ path, labels }) => [path, ...labels])
      : parseList(text, file).map(({ path, label }) => [path, label])
    return entries.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))
  }
  const classes = async (file = 'classes.txt') =>
    (await readFile(`${out}/${file}`, 'utf8')).trimEnd().split('\n')
  const findings = written.findings.map(({ kind, what, why }) => `${kind} ${what}: ${why}`)
  return { written, list, classes, findings, out }
}

const refusal = (name: string, tree: Tree) =>
  prepared(name, tree).then(
    () => 'nothing',
    (error: Error) => error.message,
  )

const head = 'label,youtube_id,time_start,time_end,split'

describe('Kinetics', () => {
  const train = [
    head,
    'zumba,-_dash_id__A,417.0,427.0,train',
    '"air drumming, loud",ünïcode-idB,0,10,train',
    'abseiling,missing-idC,3,13,train',
    'abseiling,twicedidD__,5,15,train',
    'abseiling,twicedidD__,5,15,train',
    'zumba,twicedidD__,15,25,train',
    'abseiling,,5,15,train',
    '',
  ].join('\r\n')
  const val = [head, 'zumba,noTimesIdE_,1,11,val', 'abseiling,in two folder,7,17,val'].join('\n')
  const tree: Tree = {
    'annotations/train.csv': train,
    'annotations/val.csv': val,
    'annotations/test.csv': 'youtube_id,time_start,time_end,split\nabc,1,2,test\n',
    'train/zumba': ['-_dash_id__A_000417_000427.mp4', 'twicedidD___000015_000025.mp4'],
    'train/air drumming, loud': ['ünïcode-idB_000000_000010.mkv'.normalize('NFD')],
    'train/abseiling': [
      'twicedidD___000005_000015.mp4',
      'not annotated.mp4',
      'in two folder_000007_000017.mp4',
    ],
    'val/abseiling': ['in two folder_000007_000017.mp4', 'notes.txt'],
    val: ['noTimesIdE_.mp4'],
  }

  it('never writes over the annotations that it reads, and again over lists of its own', async () => {
    const root = await writeTree(folder.path(`kinetics400-${++copies}`), tree)
    const prepare = (out: string) => prepareDataset(recipeNamed('kinetics400'), root, out, { root })
    await expect(prepare(`${root}/annotations`)).rejects.toThrow(
      /annotations\/train\.csv: is there already, and no preparation wrote it .*\. Give another --out\./,
    )
    expect(await readFile(`${root}/annotations/train.csv`, 'utf8')).toBe(train)
    // Below the data, where annotations are looked for, too.
    const first = await prepare(`${root}/lists`)
    expect((await prepare(`${root}/lists`)).lists).toEqual(first.lists)
  })

  it('makes lists of class folders and flat files, labels in the order of sorted names', async () => {
    const { list, classes } = await prepared('kinetics400', tree)
    expect(await classes()).toEqual(['abseiling', 'air drumming, loud', 'zumba'])
    expect(await list('train.csv')).toEqual([
      ['train/abseiling/twicedidD___000005_000015.mp4', 0],
      [`train/air drumming, loud/${'ünïcode-idB'.normalize('NFD')}_000000_000010.mkv`, 1],
      ['train/zumba/-_dash_id__A_000417_000427.mp4', 2],
      ['train/zumba/twicedidD___000015_000025.mp4', 2],
    ])
    expect(await list('val.csv')).toEqual([
      ['val/abseiling/in two folder_000007_000017.mp4', 0],
      ['val/noTimesIdE_.mp4', 2],
    ])
  })

  it('tells what is missing, extra, repeated and cannot be used', async () => {
    const { findings } = await prepared('kinetics700', tree)
    expect(findings).toEqual([
      'ignored train.csv:8: lacks its label, id or times',
      'ignored test.csv, train.csv, val.csv: 3 classes are annotated, not 700',
      'repeated twicedidD___000005_000015: annotated twice',
      'missing missing-idC_000003_000013: annotated, but there is no such file',
      'extra train/abseiling/in two folder_000007_000017.mp4: there, but not annotated',
      'extra train/abseiling/not annotated.mp4: there, but not annotated',
    ])
  })

  it('has the same fingerprint wherever the data lies, another for other labels', async () => {
    const [first, again] = [await prepared('kinetics400', tree), await prepared('kinetics400', tree)]
    const prints = ({ written }: typeof first) => written.lists.map(({ fingerprint }) => fingerprint)
    expect(prints(first)).toEqual(prints(again))
    expect(prints(first)[0]).toMatchObject({
      files: 4,
      classes: 3,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    const other = { ...tree, 'annotations/train.csv': train.replace('zumba,-_', 'abseiling,-_') }
    expect(prints(await prepared('kinetics400', other))[0]).not.toEqual(prints(first)[0])
  })

  it('refuses a folder without annotations, with another table, or with none of the videos', async () => {
    expect(await refusal('kinetics400', { a: ['b.mp4'] })).toMatch(/has no train\.csv/)
    expect(await refusal('kinetics400', { 'train.csv': 'id,class\n1,2\n' })).toMatch(
      /has no youtube_id, time_start, time_end \(it has: id, class\)/,
    )
    expect(await refusal('kinetics400', { 'train.csv': train, a: ['b.mp4'] })).toMatch(
      /not one annotated file is there \(looked for -_dash_id__A_000417_000427/,
    )
  })
})

describe('UCF101', () => {
  const lists = (n: number) => ({
    [`ucfTrainTestlist/trainlist0${n}.txt`]: `Apply Lipstick/v_a b_g01_c01.avi 1\r\nZ/v_Z_g01_c01.avi 2\r\nZ/v_gone.avi 2\r\n`,
    [`ucfTrainTestlist/testlist0${n}.txt`]: `Z/v_Z_g0${n + 1}_c01.avi\nQ/v_no_class.avi\n`,
  })
  const tree: Tree = {
    'ucfTrainTestlist/classInd.txt': '1 Apply Lipstick\r\n2 Z\r\n',
    ...lists(1),
    ...lists(2),
    ...lists(3),
    'UCF-101/Apply Lipstick': ['v_a b_g01_c01.avi'],
    'UCF-101/Z': [
      'v_Z_g01_c01.avi',
      'v_Z_g02_c01.avi',
      'v_Z_g03_c01.avi',
      'v_Z_g04_c01.avi',
      'v_Z_g05_c01.avi',
    ],
  }

  it('makes the three splits, with labels from 0 of numbers from 1', async () => {
    const { list, classes, findings } = await prepared('ucf101', tree)
    expect(await classes('split3/classes.txt')).toEqual(['Apply Lipstick', 'Z'])
    expect(await list('split1/train.csv')).toEqual([
      ['UCF-101/Apply Lipstick/v_a b_g01_c01.avi', 0],
      ['UCF-101/Z/v_Z_g01_c01.avi', 1],
    ])
    expect(await list('split1/val.csv')).toEqual([['UCF-101/Z/v_Z_g02_c01.avi', 1]])
    expect(await list('split3/val.csv')).toEqual([['UCF-101/Z/v_Z_g04_c01.avi', 1]])
    expect(findings).toEqual([
      'ignored testlist01.txt:2: Q is no class of classInd.txt',
      'ignored testlist02.txt:2: Q is no class of classInd.txt',
      'ignored testlist03.txt:2: Q is no class of classInd.txt',
      'missing v_gone: annotated, but there is no such file',
      'extra UCF-101/Z/v_Z_g05_c01.avi: there, but not annotated',
    ])
  })

  it('refuses numbers that contradict classInd.txt', async () => {
    const wrong = { ...tree, 'ucfTrainTestlist/trainlist02.txt': 'Z/v_Z_g01_c01.avi 1\n' }
    expect(await refusal('ucf101', wrong)).toMatch(
      /trainlist02\.txt:1: Z has number 1 here, but 2 in classInd\.txt/,
    )
    expect(await refusal('ucf101', { ...tree, 'ucfTrainTestlist/classInd.txt': '0 A\n' })).toMatch(
      /classInd\.txt:1: must be "1 CLASS"/,
    )
  })
})

describe('HMDB51', () => {
  const split = (n: number, lines: string) => ({
    [`splits/hit_test_split${n}.txt`]: lines,
    [`splits/brush_hair_test_split${n}.txt`]: 'same.avi 1\n',
  })
  const odd = '#20_Rhythm_clap_u_nm_np1_fr_goo_0.avi'
  const tree: Tree = {
    ...split(1, `${odd} 1 \na [b] (c).d.avi 2 \nunused.avi 0\nno number.avi\n`),
    ...split(2, `${odd} 2\na [b] (c).d.avi 1\nunused.avi 1\n`),
    ...split(3, `${odd} 1\n`),
    'videos/hit': [odd, 'a [b] (c).d.avi', 'unused.avi', 'same.avi'],
    'videos/brush_hair': ['same.avi'],
  }

  it('makes the three splits of the files of each class', async () => {
    const { list, classes, findings } = await prepared('hmdb51', tree)
    expect(await classes('split1/classes.txt')).toEqual(['brush_hair', 'hit'])
    expect(await list('split1/train.csv')).toEqual([
      ['videos/brush_hair/same.avi', 0],
      [`videos/hit/${odd}`, 1],
    ])
    expect(await list('split1/val.csv')).toEqual([['videos/hit/a [b] (c).d.avi', 1]])
    expect(await list('split2/val.csv')).toEqual([[`videos/hit/${odd}`, 1]])
    expect(findings).toEqual([
      'ignored hit_test_split1.txt:4: is not "FILE 0", 1 or 2',
      'extra videos/hit/same.avi: there, but not annotated',
    ])
  })
})

describe('Something-Something v2', () => {
  const tree: Tree = {
    'labels/something-something-v2-labels.json':
      '{"Putting something next to something":"1","Approaching something":"0"}',
    'labels/something-something-v2-train.json': JSON.stringify([
      {
        id: '7',
        label: 'putting a cup next to a pen',
        template: 'Putting [something] next to [something]',
        placeholders: [],
      },
      { id: '9', template: 'Doing [something] unknown' },
      { id: '7', template: 'Approaching [something]' },
      { id: '404', template: 'Approaching [something]' },
    ]),
    'labels/something-something-v2-validation.json': JSON.stringify([
      { id: 8, template: 'Approaching [something]' },
    ]),
    'labels/something-something-v2-test.json': '[{"id":"10"}]',
    '20bn-something-something-v2': ['7.webm', '8.webm', '9.webm', '10.webm', '11.webm'],
  }

  it('takes a template without its brackets as the class', async () => {
    const { list, classes, findings } = await prepared('something-something-v2', tree)
    expect(await classes()).toEqual(['Approaching something', 'Putting something next to something'])
    expect(await list('train.csv')).toEqual([['20bn-something-something-v2/7.webm', 1]])
    expect(await list('val.csv')).toEqual([['20bn-something-something-v2/8.webm', 0]])
    expect(findings).toEqual([
      'ignored 9: "Doing something unknown" is not among the labels',
      'repeated 7: annotated twice: Putting something next to something (train) is taken, Approaching something (train) is left out',
      'missing 404: annotated, but there is no such file',
      'extra 20bn-something-something-v2/11.webm: there, but not annotated',
      'extra 20bn-something-something-v2/9.webm: there, but not annotated',
    ])
  })

  it('brings labels from 1 to 0, and refuses a gap', async () => {
    const labels = 'labels/something-something-v2-labels.json'
    const fromOne = {
      ...tree,
      [labels]: '{"Approaching something":"1","Putting something next to something":"2"}',
    }
    expect(await (await prepared('something-something-v2', fromOne)).list('val.csv')).toEqual([
      ['20bn-something-something-v2/8.webm', 0],
    ])
    expect(await refusal('something-something-v2', { ...tree, [labels]: '{"a":"0","b":"2"}' })).toMatch(
      /without a gap, but 2 follows 0/,
    )
    expect(await refusal('something-something-v2', { ...tree, [labels]: '{"a":' })).toMatch(
      /labels\.json: is not JSON/,
    )
    expect(await refusal('something-something-v2', { ...tree, [labels]: '{"a":{}}' })).toMatch(
      /labels\.json: a: /,
    )
  })
})

describe('Diving48', () => {
  it('takes the corrected annotations where both are there', async () => {
    const { list, classes, findings } = await prepared('diving48', {
      'Diving48_vocab.json': '[["Back","15som","05Twis","FREE"],["Forward","25som","NoTwis","PIKE"]]',
      'Diving48_V2_train.json': '[{"vid_name":"8Hqp_00128","label":1,"start_frame":0,"end_frame":110}]',
      'Diving48_train.json': '[{"vid_name":"8Hqp_00128","label":0}]',
      'Diving48_V2_test.json': '[{"vid_name":"_8Hqp_00129","label":0},{"vid_name":"8Hqp_00130","label":2}]',
      rgb: ['8Hqp_00128.mp4', '_8Hqp_00129.mp4'],
    })
    expect(await classes()).toEqual(['Back 15som 05Twis FREE', 'Forward 25som NoTwis PIKE'])
    expect(await list('train.csv')).toEqual([['rgb/8Hqp_00128.mp4', 1]])
    expect(await list('val.csv')).toEqual([['rgb/_8Hqp_00129.mp4', 0]])
    expect(findings).toEqual(['ignored 8Hqp_00130: label 2, but the vocabulary has 2'])
  })
})

describe('Charades', () => {
  const table = 'id,subject,scene,script,actions,length'
  it('gives every video all of its labels', async () => {
    const { list, written } = await prepared('charades', {
      'Charades/Charades_v1_classes.txt':
        'c000 Holding some clothes\nc001 Putting clothes somewhere\nc002 Taking some clothes\n',
      'Charades/Charades_v1_train.csv': `${table}\nYSKX3,X1,Kitchen,"A person, ""awake"",\nlaughs","c002 0.00 12.60;c000 11.90 21.20;c002 1 2",30\nEMPTY,X,Y,Z,,12\nGONE,,,,c001 1 2,3\nODD,,,,c999 1 2,3\n`,
      'Charades/Charades_v1_test.csv': `${table}\nTEST1,,,,c001 0 1,9\n`,
      Charades_v1_480: ['YSKX3.mp4', 'EMPTY.mp4', 'TEST1.mp4', 'ODD.mp4', 'MORE.mp4'],
    })
    expect(await list('train.csv')).toEqual([
      ['Charades_v1_480/EMPTY.mp4'],
      ['Charades_v1_480/ODD.mp4'],
      ['Charades_v1_480/YSKX3.mp4', 0, 2],
    ])
    expect(await list('val.csv')).toEqual([['Charades_v1_480/TEST1.mp4', 1]])
    expect(written.findings).toHaveLength(3)
    expect(written.lists[0]!.fingerprint).toMatchObject({ files: 3, classes: 2 })
  })
})

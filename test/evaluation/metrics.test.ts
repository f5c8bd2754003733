import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { averagePrecision, createMultiLabelMetrics } from '../../src/evaluation/average-precision.ts'
import { worstMistakes } from '../../src/evaluation/confusion.ts'
import { createMetrics, rankOf, topClasses } from '../../src/evaluation/metrics.ts'
import { formatCsv } from '../../src/files/csv.ts'
import { classReportCsv, confusionCsv } from '../../src/report/metrics-files.ts'

const scores = (...values: number[]) => Float32Array.from(values)
const of = (classes: number, samples: readonly (readonly [Float32Array, number])[]) => {
  const metrics = createMetrics(classes)
  for (const [values, label] of samples) metrics.add(values, label)
  return metrics.result()
}

describe('metrics', () => {
  /** Labels 0 0 0 1 1 2, guesses 0 0 1 1 2 1. */
  const result = of(3, [
    [scores(0.8, 0.1, 0.1), 0],
    [scores(0.6, 0.3, 0.1), 0],
    [scores(0.3, 0.6, 0.1), 0],
    [scores(0.1, 0.8, 0.1), 1],
    [scores(0.1, 0.3, 0.6), 1],
    [scores(0.1, 0.8, 0.1), 2],
  ])

  it('counts top-1, top-5 and the mean over classes', () => {
    expect(result.samples).toBe(6)
    expect(result.top1).toBe(3 / 6)
    expect(result.top5).toBe(1)
    expect(result.meanClassAccuracy).toBeCloseTo((2 / 3 + 1 / 2 + 0) / 3, 12)
  })

  it('has a confusion matrix of labels by guesses', () => {
    expect([...result.confusion.counts]).toEqual([2, 1, 0, 0, 1, 1, 0, 1, 0])
    expect(worstMistakes(result.confusion, 2)).toEqual([
      { label: 0, guess: 1, samples: 1 },
      { label: 1, guess: 2, samples: 1 },
    ])
  })

  it('reports precision, recall and F1 of every class', () => {
    expect(result.perClass).toMatchObject([
      { support: 3, guessed: 2, right: 2, precision: 1, recall: 2 / 3, f1: 0.8 },
      { support: 2, guessed: 3, right: 1, precision: 1 / 3, recall: 0.5, f1: 0.4 },
      { support: 1, guessed: 1, right: 0, precision: 0, recall: 0, f1: 0 },
    ])
  })

  it('measures calibration in 15 bins, by hand', () => {
    // Two bins have samples: those of .8, of which 2 of 3 are right, and those of .6, of which 1 of 3 is.
    const [high, low] = [Math.fround(0.8), Math.fround(0.6)]
    const expected = (3 * Math.abs(2 / 3 - high) + 3 * Math.abs(1 / 3 - low)) / 6
    expect(result.ece).toBeCloseTo(expected, 12)
    expect(result.calibration.filter(({ samples }) => samples > 0)).toHaveLength(2)
  })

  it('takes full confidence into the last bin and no confidence into the first', () => {
    const { calibration } = of(2, [
      [scores(1, 0), 0],
      [scores(0, 0), 1],
    ])
    expect([calibration[0]!.samples, calibration[14]!.samples]).toEqual([1, 1])
  })

  it('lets the lower class index win a tie, so that saying nothing is right for class 0 alone', () => {
    const nothing = scores(0.2, 0.2, 0.2, 0.2, 0.2)
    expect([0, 1, 4].map((label) => rankOf(nothing, label))).toEqual([0, 1, 4])
    expect(topClasses(nothing, 3)).toEqual([0, 1, 2])
    expect(
      of(
        5,
        [0, 1, 2, 3, 4].map((label) => [nothing, label] as const),
      ).top1,
    ).toBe(1 / 5)
    const six = Float32Array.from({ length: 6 }, () => 0.5)
    expect(of(6, [[six, 5]]).top5).toBe(0)
    expect(of(6, [[six, 4]]).top5).toBe(1)
  })

  it('leaves classes without samples out of the mean, and says 0 of what cannot be said', () => {
    const { meanClassAccuracy, perClass } = of(3, [[scores(1, 0, 0), 0]])
    expect(meanClassAccuracy).toBe(1)
    expect(perClass[2]).toMatchObject({ support: 0, guessed: 0, precision: 0, recall: 0, f1: 0 })
    expect(createMetrics(3).result()).toMatchObject({
      samples: 0,
      top1: 0,
      top5: 0,
      meanClassAccuracy: 0,
      ece: 0,
    })
  })

  it('agrees with itself on any scores', () => {
    const sample = fc.tuple(
      fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 7, maxLength: 7 }),
      fc.nat(6),
    )
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 30 }), (samples) => {
        const { top1, top5, ece, confusion, meanClassAccuracy } = of(
          7,
          samples.map(([values, label]) => [Float32Array.from(values, (value) => value / 4), label] as const),
        )
        const trace = Array.from({ length: 7 }, (_, k) => confusion.counts[8 * k]!).reduce((a, b) => a + b)
        expect(top1).toBe(trace / samples.length)
        expect(top5).toBeGreaterThanOrEqual(top1)
        for (const share of [top5, ece, meanClassAccuracy]) {
          expect(share).toBeGreaterThanOrEqual(0)
          expect(share).toBeLessThanOrEqual(1)
        }
        for (const [values, label] of samples) {
          const five = topClasses(Float32Array.from(values))
          expect(five.includes(label)).toBe(rankOf(Float32Array.from(values), label) < 5)
        }
      }),
    )
  })

  it.each([
    [scores(1, 0), 0, 'scores must be 3 numbers, one per class; got 2.'],
    [scores(1, Number.NaN, 0), 0, 'got 3, not all of them numbers.'],
    [scores(1, 0, 0), 3, 'label 3 is no class: give 0 to 2.'],
    [scores(1, 0, 0), 0.5, 'label 0.5 is no class'],
  ])('refuses %j with label %d', (values, label, message) => {
    expect(() => createMetrics(3).add(values, label)).toThrow(message)
  })

  it('writes CSV as RFC 4180 has it: CRLF, quotes around commas, quotes and line breaks', () => {
    const labels = ['run, fast', 'say "no"', 'two\nlines']
    expect(classReportCsv(result.perClass, labels)).toBe(
      'index,class,support,guessed,right,precision,recall,f1\r\n' +
        '0,"run, fast",3,2,2,1,0.6666666666666666,0.8\r\n' +
        '1,"say ""no""",2,3,1,0.3333333333333333,0.5,0.4\r\n' +
        '2,"two\nlines",1,1,0,0,0,0\r\n',
    )
    expect(confusionCsv(result.confusion, ['a', 'b', 'c'])).toBe(
      'label \\ guess,a,b,c\r\na,2,1,0\r\nb,0,1,1\r\nc,0,1,0\r\n',
    )
  })

  it('writes no cell that a spreadsheet would compute', () => {
    const [report] = result.perClass
    for (const name of ['=1+1', '+1', '-1', '@sum', '\t=1', '=HYPERLINK("x")']) {
      const cell = classReportCsv([report!], [name])
        .split('\r\n')[1]!
        .split(/,(.*),3,2/)[1]!
      expect(cell).toBe(name.includes('"') ? `"'${name.replaceAll('"', '""')}"` : `'${name}`)
      expect(confusionCsv({ classes: 1, counts: new Uint32Array([1]) }, [name])).toContain(
        `'${name.slice(0, 2)}`,
      )
    }
    // Numbers stay numbers.
    expect(formatCsv([[-1, 'a-b', -0.5]])).toBe('-1,a-b,-0.5\r\n')
  })
})

describe('mean average precision', () => {
  it('is scikit-learn’s average precision', () => {
    // The example of scikit-learn's documentation of average_precision_score.
    expect(averagePrecision([0.1, 0.4, 0.35, 0.8], [false, false, true, true])).toBeCloseTo(0.8333, 4)
  })

  it('is scikit-learn’s with ties and with a class that no sample has', () => {
    // scikit-learn 1.9.1: average_precision_score of the columns that have positives.
    const metrics = createMultiLabelMetrics(4)
    metrics.add(scores(0.9, 0.2, 0.5, 0.3), [0])
    metrics.add(scores(0.5, 0.2, 0.5, 0.7), [1, 3])
    metrics.add(scores(0.5, 0.9, 0.5, 0.7), [0, 1])
    metrics.add(scores(0.1, 0.2, 0.5, 0.7), [3])
    metrics.add(scores(0.5, 0.1, 0.5, 0.2), [0, 3])
    metrics.add(scores(0.3, 0.9, 0.5, 0.1), [3])
    const { averagePrecision: perClass, meanAveragePrecision } = metrics.result()
    expect(perClass).toEqual([
      expect.closeTo(0.8333333333333333, 12),
      expect.closeTo(0.45, 12),
      undefined,
      expect.closeTo(0.6499999999999999, 12),
    ])
    expect(meanAveragePrecision).toBeCloseTo(0.6444444444444444, 12)
  })

  it('counts equal scores together: saying nothing gives the share of positives', () => {
    expect(averagePrecision([1, 1, 1, 1], [true, false, false, false])).toBe(0.25)
    expect(averagePrecision([1, 1, 1, 1], [false, false, false, true])).toBe(0.25)
  })

  it('is 1 exactly when all positives come first', () => {
    expect(averagePrecision([0.9, 0.8, 0.1], [true, true, false])).toBe(1)
    expect(averagePrecision([0.1, 0.2], [false, false])).toBeUndefined()
  })

  it('is averaged over the classes that some sample has', () => {
    const metrics = createMultiLabelMetrics(3)
    metrics.add(scores(0.9, 0.2, 0.5), [0])
    metrics.add(scores(0.8, 0.7, 0.5), [0, 1])
    metrics.add(scores(0.1, 0.9, 0.5), [])
    const { samples, averagePrecision: perClass, meanAveragePrecision } = metrics.result()
    expect(samples).toBe(3)
    expect(perClass).toEqual([1, 0.5, undefined])
    expect(meanAveragePrecision).toBe(0.75)
    expect(() => metrics.add(scores(1, 1, 1), [3])).toThrow('label 3 is no class')
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crosses, overlaps, placeLabels } from '../../src/report/label-placement.ts'

const bounds = { x: 0, y: 0, width: 400, height: 300 }
const mark = ({ x, y }: { x: number; y: number }) => ({ x: x - 5, y: y - 5, width: 10, height: 10 })
const label = fc.record({
  x: fc.integer({ min: 0, max: 400 }),
  y: fc.integer({ min: 0, max: 300 }),
  width: fc.integer({ min: 10, max: 90 }),
  height: fc.constant(13),
})

describe('labels', () => {
  it('overlap neither each other nor any mark, and stay inside', () => {
    fc.assert(
      fc.property(fc.array(label, { maxLength: 40 }), (labels) => {
        const marks = labels.map(mark)
        const placed = placeLabels(labels, { bounds, marks, lines: [] }).filter((box) => box !== undefined)
        for (const [i, box] of placed.entries()) {
          expect(placed.slice(i + 1).some((other) => overlaps(box, other))).toBe(false)
          expect(marks.some((other) => overlaps(box, other))).toBe(false)
          expect(box.x >= 0 && box.y >= 0 && box.x + box.width <= 400 && box.y + box.height <= 300).toBe(true)
        }
      }),
    )
  })

  it('are all placed where there is room', () => {
    const labels = Array.from({ length: 6 }, (_, i) => ({
      x: 40 + 60 * i,
      y: 280 - 50 * i,
      width: 50,
      height: 13,
    }))
    const lines = labels.slice(1).map((to, i) => ({ x1: labels[i]!.x, y1: labels[i]!.y, x2: to.x, y2: to.y }))
    const placed = placeLabels(labels, { bounds, marks: labels.map(mark), lines })
    expect(placed.every((box) => box !== undefined)).toBe(true)
    for (const box of placed) expect(lines.some((line) => crosses(line, box!))).toBe(false)
  })

  it('are left out, the last ones, where there is none', () => {
    const heap = Array.from({ length: 60 }, () => ({ x: 200, y: 150, width: 60, height: 13 }))
    const placed = placeLabels(heap, { bounds, marks: heap.map(mark), lines: [] })
    expect(placed[0]).toBeDefined()
    expect(placed.at(-1)).toBeUndefined()
  })
})

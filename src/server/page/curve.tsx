/** Cost against accuracy (or, where that is unknown, latency): what can be chosen, and what is in use. */
import type { ConfigurationJson, ModelJson } from '../api.ts'
import { accuracyOf, cost, isSame, milliseconds, percent, shape, worth } from './format.ts'

const [WIDTH, HEIGHT] = [420, 220]
const EDGE = { left: 52, right: 14, top: 12, bottom: 38 }

interface Props {
  readonly model: ModelJson
  readonly used: ConfigurationJson | undefined
  readonly choose: (index: number) => void
}

export function Curve({ model, used, choose }: Props) {
  const isAccuracyKnown = model.table.every((one) => accuracyOf(one) !== undefined)
  const heightOf = (one: ConfigurationJson) =>
    isAccuracyKnown ? (accuracyOf(one) ?? 0) : (one.latency_ms ?? 0)
  const { table } = model
  const [x0, x1] = range(table.map(({ gflops }) => Math.log(gflops)))
  const [y0, y1] = range(table.map(heightOf))
  const x = (one: ConfigurationJson) =>
    EDGE.left + ((Math.log(one.gflops) - x0) / (x1 - x0)) * (WIDTH - EDGE.left - EDGE.right)
  const y = (one: ConfigurationJson) =>
    HEIGHT - EDGE.bottom - ((heightOf(one) - y0) / (y1 - y0)) * (HEIGHT - EDGE.top - EDGE.bottom)
  const shown = (value: number) => (isAccuracyKnown ? percent(value) : milliseconds(value))
  const what = isAccuracyKnown ? (model.table[0]?.top1 === undefined ? 'mAP' : 'top-1') : 'latency here'
  const [first, last] = [table[0], table.at(-1)]
  return (
    <section aria-labelledby="curve-title">
      <h2 id="curve-title">Cost and {isAccuracyKnown ? 'accuracy' : 'latency'}</h2>
      {!isAccuracyKnown && <p class="faint">The accuracies of this model are not known.</p>}
      {/* biome-ignore lint/a11y/useSemanticElements: a picture has no fieldsets */}
      <svg id="curve" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="group" aria-label={`${what} against cost`}>
        <path class="axis" d={`M${EDGE.left} ${EDGE.top}V${HEIGHT - EDGE.bottom}H${WIDTH - EDGE.right}`} />
        {[y0, (y0 + y1) / 2, y1].map((value, i) => (
          <text
            key={i}
            x={EDGE.left - 6}
            y={HEIGHT - EDGE.bottom - (i / 2) * (HEIGHT - EDGE.top - EDGE.bottom) + 4}
            text-anchor="end"
          >
            {shown(value)}
          </text>
        ))}
        {first && (
          <text x={x(first)} y={HEIGHT - 20}>
            {cost(first.gflops)}
          </text>
        )}
        {last && last !== first && (
          <text x={x(last)} y={HEIGHT - 20} text-anchor="end">
            {cost(last.gflops)}
          </text>
        )}
        <text x={(EDGE.left + WIDTH) / 2} y={HEIGHT - 4} text-anchor="middle">
          {what} against cost of a clip
        </text>
        <polyline class="frontier" points={table.map((one) => `${x(one)},${y(one)}`).join(' ')} />
        {table.map((one, index) => (
          // biome-ignore lint/a11y/useSemanticElements: nor buttons
          <circle
            key={shape(one)}
            class="point"
            cx={x(one)}
            cy={y(one)}
            r={6}
            role="button"
            tabindex={0}
            aria-label={`${shape(one)}: ${worth(one)}`}
            aria-pressed={isSame(used, one)}
            onClick={() => choose(index)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter' && event.key !== ' ') return
              event.preventDefault()
              choose(index)
            }}
          />
        ))}
        {used && <circle class="used" cx={x(used)} cy={y(used)} r={10} />}
      </svg>
    </section>
  )
}

/** The least and the most, a little apart where they are one. */
function range(values: readonly number[]): readonly [number, number] {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  return most > least ? [least, most] : [least - Math.max(0.01, Math.abs(least) / 10), most + 0.01]
}

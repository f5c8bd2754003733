/** What happened when: spans as a picture and as a table. */
import { clock, percent } from './format.ts'

export interface SpanJson {
  readonly start: number
  readonly end: number
  readonly label: string
  readonly index: number
  readonly score: number
}

interface Props {
  readonly spans: readonly SpanJson[]
  /** Seconds that are shown: from the film's beginning, or up to now. */
  readonly from: number
  readonly to: number
  /** Where the film is; none for a camera. */
  readonly at?: number
  readonly seek?: (seconds: number) => void
}

export function Timeline({ spans, from, to, at, seek }: Props) {
  const length = Math.max(1, to - from)
  const left = (time: number) => `${Math.max(0, Math.min(100, (100 * (time - from)) / length))}%`
  const seen = spans.filter(({ end }) => end > from)
  return (
    <section aria-labelledby="timeline-title">
      <h2 id="timeline-title">What happened</h2>
      <div id="timeline" class="track">
        {seen.map((span) => {
          const { start, end, label, index, score } = span
          const said = `${label}, ${clock(start)} to ${clock(end)}, ${percent(score)}`
          const style = {
            insetInlineStart: left(start),
            inlineSize: `${(100 * (Math.min(end, to) - Math.max(start, from))) / length}%`,
            '--hue': String((index * 137) % 360),
          }
          return seek ? (
            <button
              key={`${index} ${start}`}
              type="button"
              class="span"
              style={style}
              title={said}
              onClick={() => seek(start)}
            >
              {label}
            </button>
          ) : (
            <span key={`${index} ${start}`} class="span" style={style} title={said}>
              {label}
            </span>
          )
        })}
        {at !== undefined && <span class="now" style={{ insetInlineStart: left(at) }} />}
      </div>
      <p class="scale" aria-hidden="true">
        <span>{clock(from)}</span>
        <span>{clock(to)}</span>
      </p>
      <section class="rows" aria-label="Spans" tabindex={0}>
        <table id="spans">
          <thead>
            <tr>
              <th scope="col">from</th>
              <th scope="col">to</th>
              <th scope="col">class</th>
              <th scope="col">score</th>
            </tr>
          </thead>
          <tbody>
            {[...spans].reverse().map(({ start, end, label, index, score }) => (
              <tr key={`${index} ${start}`}>
                <td>{clock(start)}</td>
                <td>{clock(end)}</td>
                <td>{label}</td>
                <td>{percent(score)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </section>
  )
}

/** The most probable classes. */
import { useEffect, useState } from 'preact/hooks'
import { percent } from './format.ts'

export interface Class {
  readonly index: number
  readonly label: string
  readonly score: number
}

export function Bars({ top }: { readonly top: readonly Class[] }) {
  return (
    <section aria-labelledby="top-title">
      <h2 id="top-title">What it sees</h2>
      <ul id="top" class="bars">
        {top.length === 0 && <li class="faint">Nothing yet: play a video.</li>}
        {top.map(({ index, label, score }, place) => (
          <li key={place} data-index={index}>
            <span class="bar" style={{ inlineSize: percent(score, 1).replace(' ', '') }} />
            <span class="name">{label}</span>
            <span class="number">{percent(score)}</span>
          </li>
        ))}
      </ul>
      <Said text={top[0]?.label ?? ''} />
    </section>
  )
}

/** For who does not see the bars: the first class when it changes, not more often than can be heard. */
function Said({ text }: { readonly text: string }) {
  const [said, say] = useState('')
  useEffect(() => {
    const timer = setTimeout(() => say(text), 1000)
    return () => clearTimeout(timer)
  }, [text])
  return (
    <p class="unseen" aria-live="polite">
      {said}
    </p>
  )
}

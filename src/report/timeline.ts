/** A film beside a timeline of what happens in it: one HTML file that needs nothing but the film. */
import { html, raw } from '../files/html.ts'
import type { WindowScores } from '../inference/streaming/span-finder.ts'
import type { FilmSpans } from '../inference/streaming/spans.ts'
import { cueTime } from './span-formats.ts'

export interface Timeline {
  readonly title: string
  /** Where the page finds the film: a relative path or a URL. */
  readonly source: string
  readonly film: FilmSpans
  readonly windows: readonly WindowScores[]
  /** What classified it. */
  readonly note: string
}

/** Lanes beyond those of the longest spans would be too many to see. */
const MOST_LANES = 24

export function timelineHtml({ title, source, film, windows, note }: Timeline): string {
  const { spans, duration } = film
  const seconds = new Map<number, number>()
  for (const { index, start, end } of spans) seconds.set(index, (seconds.get(index) ?? 0) + end - start)
  const lanes = [...seconds]
    .sort((a, b) => b[1] - a[1])
    .slice(0, MOST_LANES)
    .map(([index]) => ({ index, label: spans.find((span) => span.index === index)!.label }))
  const ordered = [...spans].sort((a, b) => a.start - b.start || a.end - b.end)
  const left = (time: number) => `${((100 * time) / duration).toFixed(4)}%`
  const lane = (
    { index, label }: (typeof lanes)[number],
    row: number,
  ) => html`<div class="lane"><span class="name">${label}</span><div class="track">
<svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true"><polyline points="${scoreLine(windows, index, duration)}"/></svg>
${ordered
  .filter((span) => span.index === index)
  .map(
    ({ start, end, score, peak }) =>
      html`<button class="span" data-start="${start.toFixed(3)}" style="left:${left(start)};width:${left(end - start)};--hue:${(row * 137) % 360}" title="${label} ${cueTime(start)} – ${cueTime(end)}, mean ${percent(score)}, peak ${percent(peak)}" aria-label="${label}, ${cueTime(start)} to ${cueTime(end)}"></button>\n`,
  )}</div></div>\n`
  const rows = ordered.map(
    ({ start, end, label, score, peak }) =>
      html`<tr data-start="${start.toFixed(3)}"><td><a href="#t=${start.toFixed(2)}" data-start="${start.toFixed(3)}">${cueTime(start)}</a></td><td>${cueTime(end)}</td><td>${label}</td><td>${percent(score)}</td><td>${percent(peak)}</td></tr>\n`,
  )
  return `<!doctype html>\n${
    html`<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>${raw(STYLE)}</style></head><body>
<h1>${title}</h1><p class="note">${note}</p>
<video src="${source}" controls preload="metadata"></video>
<p class="note">Space plays and pauses, ← and → move by a second, N and P go to the next and the previous span.</p>
<div id="timeline" role="group" aria-label="Timeline, ${cueTime(duration)} long">
${lanes.length > 0 ? lanes.map(lane) : html`<p>No class reaches the threshold anywhere.</p>`}<div id="now" aria-hidden="true"></div></div>
<table><thead><tr><th>start</th><th>end</th><th>class</th><th>mean</th><th>peak</th></tr></thead><tbody>
${rows}</tbody></table>
<script>const duration = ${duration};${raw(SCRIPT)}</script>
</body></html>
`.html
  }`
}

/** A class's scores over the film, 0 at the bottom: each window's at its middle. */
function scoreLine(windows: readonly WindowScores[], index: number, duration: number): string {
  return windows
    .map(({ start, end, scores }) => {
      const x = (500 * (start + end)) / duration
      return `${x.toFixed(1)},${(100 * (1 - scores[index]!)).toFixed(1)}`
    })
    .join(' ')
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`

const STYLE = `
:root { color-scheme: light dark; --line: #8886; --faint: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; overflow-wrap: anywhere; } .note { color: GrayText; margin: .3rem 0; }
video { display: block; width: 100%; max-height: 60vh; background: #000; }
#timeline { position: relative; margin: 1rem 0; }
.lane { display: flex; align-items: stretch; border-bottom: 1px solid var(--line); }
.name { width: 11rem; padding: .2rem .5rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.track { position: relative; flex: 1; height: 2.2rem; background: var(--faint); cursor: pointer; }
svg { position: absolute; inset: 0; width: 100%; height: 100%; } polyline { fill: none; stroke: currentColor; stroke-width: 1; vector-effect: non-scaling-stroke; opacity: .6; }
.span { position: absolute; top: 0; bottom: 0; min-width: 3px; padding: 0; border: 0; background: hsl(var(--hue) 70% 50% / .55); cursor: pointer; }
.span:focus-visible { outline: 3px solid currentColor; z-index: 1; }
#now { position: absolute; top: 0; bottom: 0; width: 2px; background: #e33; pointer-events: none; left: 11rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .15rem .6rem; border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
tr.current { background: var(--faint); font-weight: 600; }
`

const SCRIPT = `
const video = document.querySelector('video'), now = document.querySelector('#now');
const starts = [...document.querySelectorAll('tr[data-start]')];
const seek = (time) => { video.currentTime = Math.max(0, Math.min(duration, time)); };
const show = () => {
  const track = document.querySelector('.track');
  if (track) now.style.left = track.offsetLeft + track.offsetWidth * Math.min(1, video.currentTime / duration) + 'px';
  let current;
  for (const row of starts) if (Number(row.dataset.start) <= video.currentTime + 0.01) current = row;
  for (const row of starts) row.classList.toggle('current', row === current);
};
video.addEventListener('timeupdate', show); video.addEventListener('seeked', show); addEventListener('resize', show); show();
document.addEventListener('click', (event) => {
  const span = event.target.closest('[data-start]'), track = event.target.closest('.track');
  if (span) { event.preventDefault(); seek(Number(span.dataset.start)); }
  else if (track) { const box = track.getBoundingClientRect(); seek(duration * (event.clientX - box.left) / box.width); }
});
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const times = starts.map((row) => Number(row.dataset.start));
  const go = {
    ' ': () => { if (video.paused) video.play(); else video.pause(); },
    ArrowLeft: () => seek(video.currentTime - 1),
    ArrowRight: () => seek(video.currentTime + 1),
    n: () => seek(times.find((time) => time > video.currentTime + 0.05) ?? video.currentTime),
    p: () => seek(times.findLast((time) => time < video.currentTime - 0.5) ?? 0),
  }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!go || (event.key === ' ' && event.target.closest('button, a, video'))) return;
  if (event.target === video && event.key.startsWith('Arrow')) return;
  event.preventDefault(); go();
});
`

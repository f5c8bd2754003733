/** One model at work: what plays, what it sees in it, and what that may cost. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { ConfigurationJson, ModelJson, StreamEvent } from '../api.ts'
import { Bars, type Class } from './bars.tsx'
import { capture } from './capture.ts'
import { classifyImage, findSpans } from './client.ts'
import { Curve } from './curve.tsx'
import { messageOf, milliseconds, percent, shape, worth } from './format.ts'
import { type Cost, Session } from './session.ts'
import { type SpanJson, Timeline } from './timeline.tsx'

/** What is shown of the answers; the latest fifty tell the median. */
interface Numbers {
  readonly latencies: readonly number[]
  readonly compute?: number
  readonly answers: readonly number[]
  readonly timed: number
  readonly held: number
  readonly skipped: number
}
const NOTHING: Numbers = { latencies: [], answers: [], timed: 0, held: 0, skipped: 0 }
const MEDIAN_OF = 50
/** Seconds of a camera that the timeline shows. */
const MINUTE = 60
const MOST_SPANS = 500

type Source = { readonly kind: 'file'; readonly file: File } | { readonly kind: 'camera' } | undefined

interface WorkbenchProps {
  readonly model: ModelJson
  readonly onTrouble: (text: string | undefined) => void
}

export function Workbench({ model, onTrouble }: WorkbenchProps) {
  const { table, media } = model
  const [source, setSource] = useState<Source>()
  const [chosen, setChosen] = useState(table.length - 1)
  const [deadline, setDeadline] = useState<number>()
  const [used, setUsed] = useState<ConfigurationJson>()
  const [top, setTop] = useState<readonly Class[]>([])
  const [spans, setSpans] = useState<readonly SpanJson[]>([])
  const [numbers, setNumbers] = useState(NOTHING)
  const [sent, setSent] = useState<readonly number[]>([])
  const [time, setTime] = useState({ at: 0, duration: 0, session: 0 })
  const [progress, setProgress] = useState<number>()
  const [isOver, setIsOver] = useState(false)
  const video = useRef<HTMLVideoElement>(null)
  const session = useRef<Session | undefined>(undefined)
  const looking = useRef<AbortController | undefined>(undefined)
  const isTimed = useRef(false)
  const picture = useRef<File | undefined>(undefined)
  /** Whether the spans are those of the whole film: those of the stream are then left out. */
  const isWhole = useRef(false)
  const one = table[chosen] ?? table[0]
  const cost: Cost | undefined =
    deadline !== undefined
      ? { deadline_ms: deadline }
      : one && { width: one.width, frames: one.frames, size: one.size }

  const hear = (event: StreamEvent) => {
    if (event.event === 'answer') {
      setTop(event.top)
      setUsed(event.configuration)
      const now = performance.now()
      setNumbers((before) => ({
        latencies: [...before.latencies.slice(1 - MEDIAN_OF), event.latency_ms],
        compute: event.compute_ms,
        answers: [...before.answers.filter((then) => now - then < 2000), now],
        timed: before.timed + (event.in_time === undefined ? 0 : 1),
        held: before.held + (event.in_time === true ? 1 : 0),
        skipped: before.skipped,
      }))
      setTime((before) => ({ ...before, session: event.end }))
    } else if (event.event === 'skipped') {
      setNumbers((before) => ({
        ...before,
        timed: before.timed + (isTimed.current && event.reason !== 'gap' ? 1 : 0),
        skipped: before.skipped + 1,
      }))
    } else if (event.event === 'span' && !isWhole.current) {
      setSpans((before) => [...before.slice(1 - MOST_SPANS), event])
    }
  }

  // A stream for as long as there is something to send.
  useEffect(() => {
    const element = video.current
    if (!source || !cost || !element || media !== 'video') return
    const stream = new Session({ model: model.name, cost, tell: hear, onTrouble })
    session.current = stream
    const stop = capture({
      video: element,
      shortSide: model.clip?.short_side ?? 256,
      isWanted: () => stream.isOpen,
      take: (picture) => {
        stream.send(picture)
        const now = performance.now()
        setSent((before) => [...before.filter((then) => now - then < 2000), now])
      },
    })
    return () => {
      stop()
      stream.close()
      session.current = undefined
    }
  }, [source])

  // What it may cost, from now on.
  const said = JSON.stringify(cost)
  useEffect(() => {
    isTimed.current = deadline !== undefined
    if (session.current && cost) session.current.cost = cost
    setNumbers((before) => ({ ...NOTHING, answers: before.answers }))
    void see()
  }, [said])

  useEffect(() => {
    const element = video.current
    if (!element || !source) return
    const fail = (error: unknown) => onTrouble(`It cannot be played: ${messageOf(error)}`)
    if (source.kind === 'file') {
      const url = URL.createObjectURL(source.file)
      element.srcObject = null
      element.src = url
      void element.play().catch(fail)
      return () => URL.revokeObjectURL(url)
    }
    let stream: MediaStream | undefined
    navigator.mediaDevices
      .getUserMedia({ video: true })
      .then((camera) => {
        stream = camera
        element.srcObject = camera
        return element.play()
      })
      .catch(fail)
    return () => {
      for (const track of stream?.getTracks() ?? []) track.stop()
      element.srcObject = null
    }
  }, [source])

  const begin = (next: Source) => {
    looking.current?.abort()
    isWhole.current = false
    onTrouble(undefined)
    setTop([])
    setSpans([])
    setUsed(undefined)
    setNumbers(NOTHING)
    setTime({ at: 0, duration: 0, session: 0 })
    setSource(next)
  }
  const open = (file: File | undefined) => {
    if (!file) return
    if (media === 'video') begin({ kind: 'file', file })
    else {
      picture.current = file
      void see()
    }
  }
  const see = async () => {
    if (!picture.current || !one) return
    try {
      const answer = await classifyImage(picture.current, model.name, one)
      onTrouble(undefined)
      setTop(answer.top)
      setUsed(answer.configuration)
      setNumbers({ ...NOTHING, latencies: [answer.total_ms], compute: answer.compute_ms })
    } catch (error) {
      onTrouble(messageOf(error))
    }
  }

  useEffect(() => {
    const over = (event: DragEvent) => {
      event.preventDefault()
      setIsOver(event.type === 'dragover')
    }
    const drop = (event: DragEvent) => {
      over(event)
      open(event.dataTransfer?.files[0])
    }
    for (const kind of ['dragover', 'dragleave'] as const) addEventListener(kind, over)
    addEventListener('drop', drop)
    return () => {
      for (const kind of ['dragover', 'dragleave'] as const) removeEventListener(kind, over)
      removeEventListener('drop', drop)
    }
  })

  const look = async (file: File) => {
    if (!one) return
    const stop = new AbortController()
    looking.current = stop
    isWhole.current = true
    setSpans([])
    setProgress(0)
    try {
      await findSpans(file, model.name, one, stop.signal, (event) => {
        if (event.event === 'progress') setProgress(event.done / event.duration)
        if (event.event === 'span') setSpans((before) => [...before, event])
        if (event.event === 'error') onTrouble(event.message)
      })
    } catch (error) {
      // Half a film's spans are none: those of what plays are shown again.
      if (looking.current === stop) isWhole.current = false
      if (!stop.signal.aborted) onTrouble(messageOf(error))
    } finally {
      if (looking.current === stop) setProgress(undefined)
    }
  }

  const isFile = source?.kind === 'file'
  const isFilm = isFile && isWhole.current
  const end = isFilm ? time.duration : time.session
  return (
    <div class={isOver ? 'bench over' : 'bench'}>
      <section class="stage" aria-labelledby="stage-title">
        <h2 id="stage-title" class="unseen">
          Video
        </h2>
        {media === 'video' && (
          <video
            ref={video}
            muted
            playsInline
            loop={isFile}
            controls={isFile}
            onTimeUpdate={({ currentTarget }) =>
              setTime((before) => ({
                ...before,
                at: currentTarget.currentTime,
                duration: currentTarget.duration || 0,
              }))
            }
            onError={() =>
              source && onTrouble('The browser cannot play this file; the server may still read it.')
            }
          />
        )}
        <div class="row">
          <label class="button">
            {media === 'video' ? 'Choose a video' : 'Choose a picture'}
            <input
              id="file"
              type="file"
              accept={`${media}/*`}
              onChange={(event) => {
                open(event.currentTarget.files?.[0])
                event.currentTarget.value = ''
              }}
            />
          </label>
          {media === 'video' && (
            <button id="camera" type="button" onClick={() => begin({ kind: 'camera' })}>
              Use the camera
            </button>
          )}
          {source?.kind === 'file' && progress === undefined && (
            <button id="find-spans" type="button" onClick={() => void look(source.file)}>
              Find spans in the whole video
            </button>
          )}
          {progress !== undefined && (
            <>
              <progress value={progress} aria-label="Looking through the video" />
              <button type="button" onClick={() => looking.current?.abort()}>
                Cancel
              </button>
            </>
          )}
          <span class="faint">or drop one anywhere</span>
        </div>
        {media === 'video' && (
          <Timeline
            spans={spans}
            from={isFilm ? 0 : Math.max(0, end - MINUTE)}
            to={isFilm ? end : Math.max(end, 1)}
            {...(isFilm && {
              at: time.at,
              seek: (seconds: number) => {
                if (video.current) video.current.currentTime = seconds
              },
            })}
          />
        )}
      </section>
      <div class="side">
        <section aria-labelledby="budget-title">
          <h2 id="budget-title">What it may cost</h2>
          <label class="wide" for="budget">
            Budget
          </label>
          <input
            id="budget"
            class="wide"
            type="range"
            min={0}
            max={table.length - 1}
            step={1}
            value={chosen}
            disabled={deadline !== undefined}
            aria-valuetext={one && worth(one)}
            onInput={(event) => setChosen(Number(event.currentTarget.value))}
          />
          <output id="budget-text" for="budget">
            {one && worth(one)}
          </output>
          {media === 'video' && (
            <p class="row">
              <label>
                <input
                  id="deadline-on"
                  type="checkbox"
                  checked={deadline !== undefined}
                  onChange={(event) => setDeadline(event.currentTarget.checked ? 100 : undefined)}
                />{' '}
                hold a deadline of
              </label>
              <input
                id="deadline"
                type="number"
                min={1}
                max={60_000}
                value={deadline ?? 100}
                disabled={deadline === undefined}
                aria-label="Deadline in milliseconds"
                onChange={(event) => setDeadline(Math.max(1, Number(event.currentTarget.value) || 100))}
              />
              <span>ms</span>
            </p>
          )}
        </section>
        <Bars top={top} />
        <dl class="numbers">
          <Figure id="configuration" name="in use" value={used && shape(used)} />
          <Figure
            id="latency"
            name="latency"
            value={numbers.latencies.length > 0 ? milliseconds(median(numbers.latencies)) : undefined}
          />
          <Figure
            id="compute"
            name="of it computing"
            value={numbers.compute === undefined ? undefined : milliseconds(numbers.compute)}
          />
          {media === 'video' && (
            <>
              <Figure id="fps" name="frames a second" value={source && (sent.length / 2).toFixed(0)} />
              <Figure
                id="answers"
                name="answers a second"
                value={source && (numbers.answers.length / 2).toFixed(1)}
              />
              <Figure
                id="hits"
                name="deadline held"
                value={numbers.timed > 0 ? percent(numbers.held / numbers.timed, 1) : undefined}
              />
              <Figure id="skipped" name="skipped" value={source && String(numbers.skipped)} />
            </>
          )}
        </dl>
        <Curve
          model={model}
          used={used}
          choose={(index) => {
            setDeadline(undefined)
            setChosen(index)
          }}
        />
      </div>
    </div>
  )
}

function Figure({
  id,
  name,
  value,
}: {
  readonly id: string
  readonly name: string
  readonly value: string | undefined
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd id={id}>{value ?? '–'}</dd>
    </div>
  )
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0
}

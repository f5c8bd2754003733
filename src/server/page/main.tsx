/** The page: a video or a camera, what the network sees in it, and what that may cost. */
import { render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { ModelJson } from '../api.ts'
import { models as askModels, keepToken, TokenNeeded } from './client.ts'
import { messageOf } from './format.ts'
import { Workbench } from './workbench.tsx'

function App() {
  const [models, setModels] = useState<readonly ModelJson[]>([])
  const [name, setName] = useState('')
  const [needsToken, setNeedsToken] = useState(false)
  const [trouble, setTrouble] = useState<string>()
  const model = models.find((one) => one.name === name) ?? models[0]

  const load = () =>
    askModels().then(
      ({ models }) => {
        setModels(models)
        setNeedsToken(false)
        setTrouble(undefined)
      },
      (error: unknown) => {
        if (error instanceof TokenNeeded) setNeedsToken(true)
        setTrouble(messageOf(error))
      },
    )
  useEffect(() => void load(), [])

  return (
    <>
      <header>
        <h1>mn-video</h1>
        {model && (
          <p class="faint">
            {model.network}, {model.labels.length} classes, {model.engine}
            {model.trained ? '' : ' — untrained weights: the scores mean nothing'}
          </p>
        )}
        {models.length > 1 && (
          <label>
            Model{' '}
            <select id="model" value={model?.name} onChange={(event) => setName(event.currentTarget.value)}>
              {models.map((one) => (
                <option key={one.name}>{one.name}</option>
              ))}
            </select>
          </label>
        )}
      </header>
      <main>
        <p id="error" role="alert">
          {trouble}
        </p>
        {needsToken && (
          <form
            onSubmit={(event) => {
              event.preventDefault()
              keepToken(String(new FormData(event.currentTarget).get('token')).trim())
              void load()
            }}
          >
            <label>
              Token <input id="token" name="token" type="password" autocomplete="current-password" required />
            </label>{' '}
            <button type="submit">Use it</button>
          </form>
        )}
        {model && <Workbench key={model.name} model={model} onTrouble={setTrouble} />}
      </main>
    </>
  )
}

const place = document.querySelector('#page')
if (place) render(<App />, place)

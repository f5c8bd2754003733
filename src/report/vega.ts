/**
 * Draws Vega-Lite charts as SVG. Vega is loaded when it is first needed, which takes half a second, and is an optional
 * peer: it is larger than all else that classifying needs.
 */
import type { TopLevelSpec } from 'vega-lite'
import { MnVideoError } from '../errors.ts'

/**
 * @returns SVG with text as text, in the fonts that the chart names
 * @throws MnVideoError `missing` where Vega is not installed
 */
export async function drawSvg(chart: TopLevelSpec): Promise<string> {
  const [vega, { compile }] = await loadVega()
  // Its warnings would go to the terminal, which is the commands' alone.
  const logger = vega.logger(vega.Error)
  const view = new vega.View(vega.parse(compile(chart, { logger }).spec), { renderer: 'none', logger })
  try {
    return await view.toSVG()
  } finally {
    view.finalize()
  }
}

async function loadVega() {
  try {
    return await Promise.all([import('vega'), import('vega-lite')])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new MnVideoError(
      'missing',
      'charts are drawn by Vega, which is not installed.\nRun: npm install vega@6 vega-lite@6 (with --global where mn-video was installed with it).',
    )
  }
}

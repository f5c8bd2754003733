/** Draws Vega-Lite charts as SVG. Vega is loaded when it is first needed: it takes half a second. */
import type { TopLevelSpec } from 'vega-lite'

/** @returns SVG with text as text, in the fonts that the chart names */
export async function drawSvg(chart: TopLevelSpec): Promise<string> {
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')])
  // Its warnings would go to the terminal, which is the commands' alone.
  const logger = vega.logger(vega.Error)
  const view = new vega.View(vega.parse(compile(chart, { logger }).spec), { renderer: 'none', logger })
  try {
    return await view.toSVG()
  } finally {
    view.finalize()
  }
}

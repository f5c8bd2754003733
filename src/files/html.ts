/** HTML as template strings, in which everything is escaped that is not HTML already. */

export interface Html {
  readonly html: string
}

type Value = Html | readonly Html[] | string | number | undefined

/** Text, numbers and nothing are put in escaped; HTML and lists of it as they are. */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  return { html: strings.reduce((text, string, i) => text + textOf(values[i - 1]) + string) }
}

/** Takes text for HTML: for drawings of our own. */
export const raw = (text: string): Html => ({ html: text })

/** The first row is the heading. Cells that are numbers, or begin with one, are set to the right. */
export function htmlTable(rows: readonly (readonly Value[])[]): Html {
  const [heading = [], ...body] = rows
  const cell = (value: Value) =>
    /^[-\d]/.test(textOf(value)) ? html`<td class="number">${value}</td>` : html`<td>${value}</td>`
  return html`<table><thead><tr>${heading.map((value) => html`<th>${value}</th>`)}</tr></thead><tbody>
${body.map((row) => html`<tr>${row.map(cell)}</tr>\n`)}</tbody></table>`
}

function textOf(value: Value): string {
  if (value === undefined) return ''
  if (typeof value === 'object') return 'html' in value ? value.html : value.map(({ html }) => html).join('')
  return String(value)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

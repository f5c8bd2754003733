/** What long commands say of a model before they begin. */
import { describeEngine, skippedLines } from '../engines/precision.ts'
import type { Model } from '../inference/model.ts'

export const modelHeading = (model: Model): string =>
  [
    `model   ${model.folder}: ${model.network.name}, ${model.network.classes} classes${model.table.trained ? '' : ' — UNTRAINED weights: the scores mean nothing'}`,
    `engine  ${describeEngine(model.engine, model.precision)}`,
    ...skippedLines(model.engine).map((line) => `        ${line}`),
  ].join('\n')

/** From the classifier's outputs at each position to one answer per sample. */

/**
 * @param outputs [batch, positions, classes], row-major
 * @returns logits (mean over positions), scores and labelScores (means over positions of the softmax and of the sigmoid),
 *   each [batch, classes]
 */
export function averagePositions(outputs: Float32Array, batch: number, classes: number) {
  const positions = outputs.length / (batch * classes)
  const logits = new Float32Array(batch * classes)
  const scores = new Float32Array(batch * classes)
  const labelScores = new Float32Array(batch * classes)
  for (let row = 0; row < batch * positions; row++) {
    const sample = Math.floor(row / positions) * classes
    const values = outputs.subarray(row * classes, (row + 1) * classes)
    const softmaxed = softmax(values)
    for (let k = 0; k < classes; k++) {
      logits[sample + k]! += values[k]! / positions
      scores[sample + k]! += softmaxed[k]! / positions
      labelScores[sample + k]! += 1 / (1 + Math.exp(-values[k]!)) / positions
    }
  }
  return { logits, scores, labelScores }
}

/** The softmax of a vector, in double precision. */
export function softmax(values: ArrayLike<number>): Float64Array {
  const largest = largestOf(values)
  const scores = new Float64Array(values.length)
  let sum = 0
  for (let k = 0; k < values.length; k++) {
    const value = Math.exp(values[k]! - largest)
    scores[k] = value
    sum += value
  }
  for (let k = 0; k < values.length; k++) scores[k]! /= sum
  return scores
}

/** The logarithm of the softmax, which stays finite where the softmax underflows. */
export function logSoftmax(values: ArrayLike<number>): Float64Array {
  const largest = largestOf(values)
  let sum = 0
  for (let k = 0; k < values.length; k++) sum += Math.exp(values[k]! - largest)
  return Float64Array.from(values, (value) => value - largest - Math.log(sum))
}

function largestOf(values: ArrayLike<number>): number {
  let largest = Number.NEGATIVE_INFINITY
  for (let k = 0; k < values.length; k++) largest = Math.max(largest, values[k]!)
  return largest
}

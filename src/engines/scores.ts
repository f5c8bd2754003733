/** From the classifier's outputs at each position to one answer per sample. */

/**
 * @param outputs [batch, positions, classes], row-major
 * @returns logits (mean over positions) and scores (mean over positions of the softmax), each [batch, classes]
 */
export function averagePositions(outputs: Float32Array, batch: number, classes: number) {
  const positions = outputs.length / (batch * classes)
  const logits = new Float32Array(batch * classes)
  const scores = new Float32Array(batch * classes)
  for (let row = 0; row < batch * positions; row++) {
    const sample = Math.floor(row / positions) * classes
    const values = outputs.subarray(row * classes, (row + 1) * classes)
    const softmaxed = softmax(values)
    for (let k = 0; k < classes; k++) {
      logits[sample + k]! += values[k]! / positions
      scores[sample + k]! += softmaxed[k]! / positions
    }
  }
  return { logits, scores }
}

/** The softmax of a vector, in double precision. */
export function softmax(values: ArrayLike<number>): Float64Array {
  const { shifted, sum } = exponentials(values)
  return shifted.map((value) => Math.exp(value) / sum)
}

/** The logarithm of the softmax, which stays finite where the softmax underflows. */
export function logSoftmax(values: ArrayLike<number>): Float64Array {
  const { shifted, sum } = exponentials(values)
  return shifted.map((value) => value - Math.log(sum))
}

/** The values less the largest, and the sum of their exponentials. */
function exponentials(values: ArrayLike<number>) {
  const logits = Float64Array.from(values)
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const shifted = logits.map((value) => value - largest)
  return { shifted, sum: shifted.reduce((sum, value) => sum + Math.exp(value), 0) }
}

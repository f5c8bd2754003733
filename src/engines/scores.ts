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
  const exponentials = Float64Array.from(values)
  const largest = exponentials.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  let sum = 0
  for (let k = 0; k < exponentials.length; k++) {
    exponentials[k] = Math.exp(exponentials[k]! - largest)
    sum += exponentials[k]!
  }
  return exponentials.map((value) => value / sum)
}

/** An ONNX model as data, and its encoding (field numbers: onnx/onnx.proto of the ONNX project). */
import { Message } from '../protobuf.ts'

/** A constant of the graph, row-major. */
export type OnnxTensor =
  | { readonly name: string; readonly shape: readonly number[]; readonly data: Float32Array }
  | { readonly name: string; readonly shape: readonly number[]; readonly data: BigInt64Array }

export interface OnnxNode {
  readonly op: string
  readonly inputs: readonly string[]
  readonly output: string
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>
}

/** A float value; an axis is a size, or a name where it may vary (`batch`). */
export interface OnnxValue {
  readonly name: string
  readonly shape: readonly (number | string)[]
}

export interface OnnxModel {
  readonly name: string
  readonly producer: string
  readonly opset: number
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
  readonly nodes: readonly OnnxNode[]
  readonly constants: readonly OnnxTensor[]
  readonly metadata: Readonly<Record<string, string>>
}

/** Operator sets in which every operation used here means the same, as far as the tests run them. */
export const OPSETS = { oldest: 13, newest: 19 } as const

/** The version of the file format that came with an operator set. */
const formatOf = (opset: number): number => (opset <= 14 ? 7 : opset <= 18 ? 8 : 9)

const FLOAT = 1
const INT64 = 7
const ATTRIBUTE_INT = 2
const ATTRIBUTE_INTS = 7
const ATTRIBUTE_FLOAT = 1

/** The bytes of the file, in parts. */
export function encodeModel(model: OnnxModel): readonly Uint8Array[] {
  const graph = new Message()
    .messages(1, model.nodes.map(encodeNode))
    .text(2, model.name)
    .messages(5, model.constants.map(encodeTensor))
    .messages(11, model.inputs.map(encodeValue))
    .messages(12, model.outputs.map(encodeValue))
  const entries = Object.entries(model.metadata).map(([key, value]) =>
    new Message().text(1, key).text(2, value),
  )
  return new Message()
    .int(1, formatOf(model.opset))
    .text(2, model.producer)
    .message(7, graph)
    .message(8, new Message().text(1, '').int(2, model.opset))
    .messages(14, entries).parts
}

function encodeNode({ op, inputs, output, attributes = {} }: OnnxNode): Message {
  const message = new Message()
  for (const input of inputs) message.text(1, input)
  return message
    .text(2, output)
    .text(3, output)
    .text(4, op)
    .messages(
      5,
      Object.entries(attributes).map(([name, value]) => encodeAttribute(name, value)),
    )
}

/** Whole numbers are integers: no operation here has a float attribute that is whole. */
function encodeAttribute(name: string, value: number | readonly number[]): Message {
  const message = new Message().text(1, name)
  if (typeof value !== 'number') {
    for (const item of value) message.int(8, item)
    return message.int(20, ATTRIBUTE_INTS)
  }
  return Number.isInteger(value)
    ? message.int(3, value).int(20, ATTRIBUTE_INT)
    : message.float(2, value).int(20, ATTRIBUTE_FLOAT)
}

function encodeTensor({ name, shape, data }: OnnxTensor): Message {
  const message = new Message()
  for (const axis of shape) message.int(1, axis)
  return message
    .int(2, data instanceof Float32Array ? FLOAT : INT64)
    .text(8, name)
    .bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
}

function encodeValue({ name, shape }: OnnxValue): Message {
  const axes = shape.map((axis) =>
    typeof axis === 'number' ? new Message().int(1, axis) : new Message().text(2, axis),
  )
  const tensor = new Message().int(1, FLOAT).message(2, new Message().messages(1, axes))
  return new Message().text(1, name).message(2, new Message().message(1, tensor))
}

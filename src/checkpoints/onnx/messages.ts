/** The messages of an ONNX file (onnx.proto, field numbers beside the names), from plain values. */
import { Message } from './protobuf.ts'

/** IR version 8 and operator set 13: read by every ONNX Runtime since 1.8. */
const IR_VERSION = 8
const OPERATOR_SET = 13
const FLOAT = 1

export type Attribute = number | { readonly float: number } | readonly number[]

export function attribute(name: string, value: Attribute): Message {
  const message = new Message().bytes(1, name)
  if (typeof value === 'number') return message.int(3, value).int(20, 2)
  if ('float' in value) return message.float(2, value.float).int(20, 1)
  for (const whole of value) message.int(8, whole)
  return message.int(20, 7)
}

export function node(
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, Attribute>> = {},
): Message {
  const message = new Message()
  for (const input of inputs) message.bytes(1, input)
  message.bytes(2, output).bytes(3, output).bytes(4, operator)
  for (const [name, value] of Object.entries(attributes)) message.bytes(5, attribute(name, value))
  return message
}

export function tensor(name: string, shape: readonly number[], values: Float32Array): Message {
  const message = new Message()
  for (const axis of shape) message.int(1, axis)
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  return message.int(2, FLOAT).bytes(8, name).bytes(9, raw)
}

/** A graph input or output; a text stands for an axis of any length. */
export function valueInfo(name: string, shape: readonly (number | string)[]): Message {
  const axes = new Message()
  for (const axis of shape) {
    axes.bytes(1, typeof axis === 'number' ? new Message().int(1, axis) : new Message().bytes(2, axis))
  }
  const type = new Message().bytes(1, new Message().int(1, FLOAT).bytes(2, axes))
  return new Message().bytes(1, name).bytes(2, type)
}

export interface Graph {
  readonly name: string
  readonly nodes: readonly Message[]
  readonly initializers: readonly Message[]
  readonly inputs: readonly Message[]
  readonly outputs: readonly Message[]
}

export function model(graph: Graph): Uint8Array {
  const message = new Message()
  for (const each of graph.nodes) message.bytes(1, each)
  message.bytes(2, graph.name)
  for (const each of graph.initializers) message.bytes(5, each)
  for (const each of graph.inputs) message.bytes(11, each)
  for (const each of graph.outputs) message.bytes(12, each)
  return new Message()
    .int(1, IR_VERSION)
    .bytes(2, 'mn-video')
    .bytes(7, message)
    .bytes(8, new Message().bytes(1, '').int(2, OPERATOR_SET))
    .finish()
}

/** Backends of tfjs in order of preference. `tensorflow` is the native one, on CUDA or on the CPU. */
export const TFJS_BACKENDS = ['tensorflow', 'wasm', 'cpu'] as const
export type TfjsBackend = (typeof TFJS_BACKENDS)[number]

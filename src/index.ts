/**
 * mn-video as a library.
 *
 * ```ts
 * import { classify, loadModel } from 'mn-video'
 *
 * const model = await loadModel('runs/x3d')
 * const { ranking, macs } = await classify(model, 'video.mp4', { budget: { gflops: 2 } })
 * console.log(ranking[0].label, ranking[0].score, macs)
 * model.dispose()
 * ```
 */
export { type Config, loadConfig } from './config/index.ts'
export type {
  FrameBatch,
  Inputs,
  Observed,
  Plan,
  Precision,
  RunOptions,
  RunResult,
} from './engines/engine.ts'
export type { EngineName, TfjsBackend } from './engines/index.ts'
export { type ErrorCode, MnVideoError } from './errors.ts'
export { type Classification, classify } from './evaluation/classify.ts'
export type { Latency } from './evaluation/latency.ts'
export {
  type Cancellable,
  type LoadOptions,
  loadModel,
  type Model,
  type ReadyConfiguration,
} from './evaluation/model.ts'
export type { Budget, ClassifyOptions } from './evaluation/options.ts'
export { profileConfig as profile } from './evaluation/profile-config.ts'
export type { QueryTable, TableEntry } from './evaluation/query-table.ts'
export type { AnyResult, SweepResult } from './evaluation/sweep-results.ts'
export { type TestEvent, type Tested, type TestOptions, testRun } from './evaluation/test-run.ts'
export { decodeImage, type PictureOptions } from './image/decode.ts'
export type { Configuration, Network } from './network/graph.ts'
export type { LayerProfile, Profile } from './network/profile.ts'
export type { TrainingEvent } from './training/log.ts'
export { type Trained, type TrainOptions, train } from './training/train.ts'
export type { Validation } from './training/validate.ts'
export { type Clip, type ClipRequest, type DecodeOptions, decodeClip } from './video/decode.ts'
export type { RunOptions as ProbeOptions } from './video/ffmpeg.ts'
export type { Crop, CropPosition, PictureRequest } from './video/geometry.ts'
export { probeVideo } from './video/probe.ts'
export type { VideoInfo } from './video/video-info.ts'

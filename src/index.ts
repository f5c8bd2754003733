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
export type { Observed, Plan, Precision, RunOptions, RunResult } from './engines/engine.ts'
export type { EngineName, TfjsBackend } from './engines/index.ts'
export { type ErrorCode, MnVideoError } from './errors.ts'
export { type Tested, testRun } from './evaluation/test-run.ts'
export type { TestEvent, TestOptions } from './evaluation/test-setup.ts'
export type { Clip, FrameBatch, Inputs } from './frames/batch.ts'
export type { Crop, CropPosition, PictureRequest } from './frames/geometry.ts'
export { decodeImage, type PictureOptions } from './image/decode.ts'
export { type Classification, classify } from './inference/classify.ts'
export {
  type Cancellable,
  type LoadOptions,
  loadModel,
  type Model,
  type ReadyConfiguration,
} from './inference/model.ts'
export type { Budget, ClassifyOptions } from './inference/options.ts'
export { profileConfig as profile } from './inference/profile-config.ts'
export type {
  AnswerEvent,
  Happened,
  SkippedEvent,
  SpanEvent,
  SwitchEvent,
} from './inference/streaming/answers.ts'
export type { Span, WindowScores } from './inference/streaming/span-finder.ts'
export {
  type FilmSpans,
  type FindSpansOptions,
  findSpans,
  type NamedSpan,
} from './inference/streaming/spans.ts'
export type { CapturedFrame, FrameStream, StreamOptions } from './inference/streaming/stream.ts'
export {
  type SourceEvent,
  type WatchEvent,
  type WatchOptions,
  watch,
} from './inference/streaming/watch.ts'
export type { Configuration, Network } from './network/graph.ts'
export type { LayerProfile, Profile } from './network/profile.ts'
export type { Latency } from './runs/latency.ts'
export type { TrainingEvent } from './runs/log.ts'
export type { QueryTable, TableEntry } from './runs/query-table.ts'
export type { AnyResult, SweepResult } from './runs/sweep-results.ts'
export { type Trained, type TrainOptions, train } from './training/train.ts'
export type { Validation } from './training/validate.ts'
export { type ClipRequest, type DecodeOptions, decodeClip } from './video/decode.ts'
export type { RunOptions as ProbeOptions } from './video/ffmpeg.ts'
export { probeVideo } from './video/probe.ts'
export type { VideoInfo } from './video/video-info.ts'

// The typed operations behind the commands. SDKs are loaded when an operation first needs them.
export type {
  CosmosTarget,
  EventGridTarget,
  EventHubsTarget,
  RedisTarget,
  Targets,
} from './config/targets.ts';
export { type BulkWriterOptions, createBulkWriter } from './cosmos/bulk-writer.ts';
export {
  type ChangeFeed,
  type ChangeFeedOptions,
  openChangeFeed,
  runChangeFeed,
} from './cosmos/change-feed/reader.ts';
export { type CosmosConnection, type CosmosOptions, openCosmos } from './cosmos/client.ts';
export { type ContainerInfo, type ContainerSpec, provision } from './cosmos/containers.ts';
export type { BulkWriter, WriteOperation, WriteOutcome } from './cosmos/write-operation.ts';
export { createRuRecorder, type RecordingRu, type RuSummary } from './metrics/ru-recorder.ts';
export { createStageRecorder, type RecordingStage, type StageSummary } from './metrics/stage-recorder.ts';
export { ingest } from './pipeline/ingest/ingest.ts';
export type { IngestOptions, IngestProgress, IngestResult } from './pipeline/ingest/types.ts';
export { type ProduceOptions, type ProduceResult, produce } from './pipeline/produce/produce.ts';
export { type LedgerFile, openLedgerFile, readLedgers } from './pipeline/verify/ledger-file.ts';
export { type Verification, type VerifyOptions, verifyPipeline } from './pipeline/verify/run.ts';
export type { Anomaly, Verdict } from './pipeline/verify/verify.ts';
export { readReport } from './report/read.ts';
export { writeReport } from './report/render.ts';
export type { RunReport } from './report/run-report.ts';
export { type Clock, systemClock } from './util/clock.ts';
export { ExitCode, PipeError } from './util/errors.ts';
export { Secret } from './util/secret.ts';

import type { RuOperation } from '../../metrics/types.ts';
import type { WriteOutcome } from '../write-operation.ts';
import type { Pending } from './lanes.ts';
import { refusalReason, verdictOfOperation, verdictOfRequest } from './verdict.ts';
import type { BulkReply, OperationReply } from './wire.ts';

/** What the answer to one request means for its operations and its range. */
export interface Answer {
  /** Operations that are decided, with their outcomes, in request order. */
  readonly settled: Pending[];
  readonly outcomes: WriteOutcome[];
  /** Operations that must travel again, in request order, and those of them that should rest alone first. */
  readonly again: Pending[];
  readonly resting: Pending[];
  readonly charges: Map<RuOperation, { charge: number; count: number }>;
  requestCharge: number;
  written: number;
  writtenBytes: number;
  refused: number;
  /** Operations answered with 429, and the longest time the service asked to wait. */
  throttled: number;
  retryAfterMs: number;
  /** The range was split or merged. */
  moved: boolean;
  /** The range, or the way to it, is out of order for now. */
  unavailable: { readonly statusCode: number; readonly message: string } | undefined;
}

/** Reads an answer and counts the attempt; everything else is left to the caller. */
export function readAnswer(operations: readonly Pending[], reply: BulkReply): Answer {
  const answer: Answer = {
    settled: [],
    outcomes: [],
    again: [],
    resting: [],
    charges: new Map(),
    requestCharge: 0,
    written: 0,
    writtenBytes: 0,
    refused: 0,
    throttled: 0,
    retryAfterMs: 0,
    moved: false,
    unavailable: undefined,
  };
  if (!('replies' in reply)) readFailure(answer, operations, reply);
  else if (reply.replies.length === operations.length) readReplies(answer, operations, reply.replies);
  else
    readFailure(answer, operations, {
      statusCode: 0,
      retryAfterMs: undefined,
      message: 'the answer does not match the request',
    });
  return answer;
}

/** Fails operations that could not be tried (any more); nothing is said about the items. */
export function giveUp(
  answer: Answer,
  operations: readonly Pending[],
  statusCode: number,
  message: string,
): void {
  const reason = `the service could not be used (${statusCode === 0 ? '' : `${statusCode} `}${message})`;
  for (const pending of operations) {
    answer.settled.push(pending);
    answer.outcomes.push({ ok: false, statusCode, reason, poison: false, attempts: pending.attempts });
  }
}

function readReplies(
  answer: Answer,
  operations: readonly Pending[],
  replies: readonly OperationReply[],
): void {
  for (let i = 0; i < operations.length; i++) {
    const pending = operations[i] as Pending;
    const reply = replies[i] as OperationReply;
    const { statusCode, requestCharge = 0 } = reply;
    if (requestCharge > 0) addCharge(answer, pending.operation.kind, requestCharge);
    const verdict = verdictOfOperation(statusCode);
    if (verdict !== 'skipped') pending.attempts++;
    switch (verdict) {
      case 'stored':
        answer.written++;
        answer.writtenBytes += pending.bodyBytes;
        answer.settled.push(pending);
        answer.outcomes.push({ ok: true, statusCode, requestCharge, attempts: pending.attempts });
        continue;
      case 'refused':
        refuse(answer, pending, statusCode, reply.message);
        continue;
      case 'throttled':
        answer.throttled++;
        answer.retryAfterMs = Math.max(answer.retryAfterMs, reply.retryAfterMilliseconds ?? 0);
        break;
      case 'moved':
        answer.moved = true;
        break;
      case 'unavailable':
        answer.unavailable = { statusCode, message: reply.message ?? 'service unavailable' };
        pending.unsure = true;
        break;
      case 'again':
        answer.resting.push(pending);
        break;
      default: // skipped: travels again at once
    }
    answer.again.push(pending);
  }
}

interface Failure {
  readonly statusCode: number;
  readonly retryAfterMs: number | undefined;
  readonly message: string;
}

/** The request failed as a whole. */
function readFailure(answer: Answer, operations: readonly Pending[], failure: Failure): void {
  const { statusCode, message } = failure;
  for (const pending of operations) pending.attempts++;
  switch (verdictOfRequest(statusCode)) {
    case 'throttled':
      answer.throttled = operations.length;
      answer.retryAfterMs = failure.retryAfterMs ?? 0;
      break;
    case 'moved':
      answer.moved = true;
      break;
    case 'unavailable':
      answer.unavailable = { statusCode, message };
      // 410, 429 and 4xx promise that nothing was applied; after 5xx, 408 or silence nobody knows.
      for (const pending of operations) pending.unsure = true;
      break;
    case 'unusable':
      giveUp(answer, operations, statusCode, message);
      return;
    default:
      // Some operation makes the service refuse the request: halve its company until it is alone with its error.
      if (operations.length === 1) {
        refuse(answer, operations[0] as Pending, statusCode, message);
        return;
      }
      for (const pending of operations) pending.companyLimit = Math.ceil(operations.length / 2);
  }
  answer.again.push(...operations);
}

function refuse(answer: Answer, pending: Pending, statusCode: number, message: string | undefined): void {
  const { operation, attempts, unsure } = pending;
  const reason = refusalReason(operation, statusCode, message, unsure);
  answer.refused++;
  answer.settled.push(pending);
  answer.outcomes.push({ ok: false, statusCode, reason, poison: true, attempts });
}

function addCharge(answer: Answer, kind: RuOperation, charge: number): void {
  answer.requestCharge += charge;
  const sum = answer.charges.get(kind);
  if (sum === undefined) answer.charges.set(kind, { charge, count: 1 });
  else {
    sum.charge += charge;
    sum.count++;
  }
}

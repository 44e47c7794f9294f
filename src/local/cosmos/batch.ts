import type { BatchOperation } from './batch-body.ts';
import type { Change, Container } from './container.ts';
import { badRequest, batchPartitionKeyMismatch, rangeGone, WireError } from './errors.ts';
import { type Draft, etagOf } from './item.ts';
import { bytesOf, evaluate, idIn, type Outcome, type Version } from './operations.ts';
import type { PhysicalPartition, Revision } from './partition.ts';
import type { PartitionKey } from './partition-key.ts';
import { roundCharge } from './request-charge.ts';

export interface BatchReply {
  /** 200 when every operation succeeded, else 207. */
  readonly status: 200 | 207;
  readonly body: Buffer;
  readonly requestCharge: number;
}

export interface BatchContext {
  readonly container: Container;
  readonly range: PhysicalPartition;
  /** Starts an operation within the budget of the range. @throws WireError 429 */
  admit(range: PhysicalPartition): void;
  /** Asked before each operation of a bulk request: an injected failure. */
  fault(): WireError | undefined;
  /** Leaves the items out of the reply, as `Prefer: return=minimal` asks. */
  readonly minimal: boolean;
}

/** Operations of one range, each by itself: one refusal leaves the others as they are. */
export function executeBulk(
  context: BatchContext,
  operations: readonly BatchOperation[],
  goOn: boolean,
): BatchReply {
  const reply = new ReplyBuilder(context.minimal);
  for (const operation of operations) {
    if (reply.failed && !goOn) reply.addFailedDependency();
    else executeOne(context, operation, reply);
  }
  context.container.commit(context.range);
  return reply.build();
}

function executeOne(context: BatchContext, operation: BatchOperation, reply: ReplyBuilder): void {
  const { container, range } = context;
  try {
    const injected = context.fault();
    if (injected !== undefined) throw injected;
    context.admit(range);
    const key = keyOf(container, operation);
    // The client computed the range: an outdated routing map, or another hash, must not put items where no read finds them.
    if (container.rangeOf(key) !== range) throw rangeGone();
    const id = operation.id ?? idIn(operation.resourceBody);
    const current = container.find(key, id as string);
    const outcome = evaluate(container, key, operation, current);
    if (outcome.change !== undefined && 'draft' in outcome.change)
      container.requireUnique(key, outcome.change.draft);
    const stored = outcome.change && container.store(key, [outcome.change])[0];
    spend(container, range, key, outcome.requestCharge);
    reply.add(outcome, stored);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    range.budget.charge(error.requestCharge);
    reply.addError(error);
  }
}

/** Operations of one partition key: all or none. */
export function executeTransaction(
  context: BatchContext,
  key: PartitionKey,
  operations: readonly BatchOperation[],
): BatchReply {
  const { container, range } = context;
  for (const operation of operations) requireSameKey(container, key, operation);
  const reply = new ReplyBuilder(context.minimal);
  const pending = new Map<string, Draft | undefined>();
  const pendingUnique = new Map<string, string | undefined>();
  const changes: { readonly change: Change; readonly index: number }[] = [];
  const outcomes: Outcome[] = [];
  for (const [index, operation] of operations.entries()) {
    try {
      const outcome = plan(context, key, operation, pending, pendingUnique);
      outcomes.push(outcome);
      if (outcome.change !== undefined) changes.push({ change: outcome.change, index });
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      range.budget.charge(error.requestCharge);
      for (let other = 0; other < operations.length; other++)
        if (other === index) reply.addError(error);
        else reply.addFailedDependency();
      return reply.build();
    }
  }
  const revisions = container.store(
    key,
    changes.map(({ change }) => change),
  );
  container.commit(range);
  const stored = new Map(changes.map(({ index }, at) => [index, revisions[at] as Revision]));
  outcomes.forEach((outcome, index) => {
    reply.add(outcome, stored.get(index));
    spend(container, range, key, outcome.requestCharge);
  });
  return reply.build();
}

function plan(
  { container }: BatchContext,
  key: PartitionKey,
  operation: BatchOperation,
  pending: Map<string, Draft | undefined>,
  pendingUnique: Map<string, string | undefined>,
): Outcome {
  const id = (operation.id ?? idIn(operation.resourceBody)) as string;
  const current: Version | undefined = pending.has(id) ? pending.get(id) : container.find(key, id);
  const outcome = evaluate(container, key, operation, current);
  const { change } = outcome;
  if (change === undefined) return outcome;
  const draft = 'draft' in change ? change.draft : undefined;
  const before = pending.get(id);
  for (const unique of before?.uniqueKeys ?? []) pendingUnique.set(unique, undefined);
  if (draft !== undefined) {
    container.requireUnique(key, draft, pendingUnique);
    for (const unique of draft.uniqueKeys) pendingUnique.set(unique, id);
  }
  pending.set(id, draft);
  return outcome;
}

function requireSameKey(container: Container, key: PartitionKey, { partitionKey }: BatchOperation): void {
  if (partitionKey === undefined) return;
  const wire = typeof partitionKey === 'string' ? partitionKey : JSON.stringify(partitionKey);
  // A bare value is what some clients send for a key of one path.
  const { text } = container.keys.parse(wire.startsWith('[') ? wire : JSON.stringify([partitionKey]));
  if (text !== key.text) throw batchPartitionKeyMismatch();
}

function keyOf(container: Container, { partitionKey, resourceBody }: BatchOperation): PartitionKey {
  if (typeof partitionKey === 'string') return container.keyFrom(partitionKey);
  if (partitionKey !== undefined) return container.keyFrom(JSON.stringify(partitionKey));
  if (resourceBody === undefined || !('keyText' in resourceBody))
    throw badRequest('The operation has no partition key');
  return container.keyOf(resourceBody.keyText);
}

export function spend(
  container: Container,
  range: PhysicalPartition,
  key: PartitionKey,
  requestCharge: number,
): void {
  range.budget.charge(requestCharge);
  const partition = container.logicalPartition(key.text);
  if (partition !== undefined) partition.requestCharge += requestCharge;
}

/** Builds the result array as bytes, so that stored items go through it untouched. */
class ReplyBuilder {
  readonly #parts: Buffer[] = [];
  readonly #minimal: boolean;
  #text = '[';
  #requestCharge = 0;
  failed = false;

  constructor(minimal: boolean) {
    this.#minimal = minimal;
  }

  add({ statusCode, requestCharge, change, found }: Outcome, stored: Revision | undefined): void {
    this.#requestCharge += requestCharge;
    this.#text += `${this.#separator()}{"statusCode":${statusCode},"requestCharge":${requestCharge}`;
    const version = found ?? (change !== undefined && 'draft' in change ? stored : undefined);
    if (version !== undefined) {
      this.#text += `,"eTag":"\\"${etagOf(version).slice(1, -1)}\\""`;
      if (statusCode !== 304 && (found !== undefined || !this.#minimal)) {
        this.#text += ',"resourceBody":';
        this.#parts.push(Buffer.from(this.#text), bytesOf(version));
        this.#text = '';
      }
    }
    this.#text += '}';
  }

  addError({ status, substatus = 0, requestCharge, retryAfterMs, message }: WireError): void {
    this.failed = true;
    this.#requestCharge += requestCharge;
    const result = {
      statusCode: status,
      subStatusCode: substatus,
      requestCharge,
      retryAfterMilliseconds: retryAfterMs,
      message,
    };
    this.#text += this.#separator() + JSON.stringify(result);
  }

  addFailedDependency(): void {
    this.failed = true;
    this.#text += `${this.#separator()}{"statusCode":424,"requestCharge":0}`;
  }

  build(): BatchReply {
    const tail = Buffer.from(`${this.#text}]`);
    return {
      status: this.failed ? 207 : 200,
      body: this.#parts.length === 0 ? tail : Buffer.concat([...this.#parts, tail]),
      requestCharge: roundCharge(this.#requestCharge),
    };
  }

  #separator(): string {
    return this.#text === '[' && this.#parts.length === 0 ? '' : ',';
  }
}

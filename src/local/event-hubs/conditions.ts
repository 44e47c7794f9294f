import type { AmqpCondition } from '../amqp/errors.ts';

/** Every error of the emulated service: condition and text as the service words them, as far as they are known. */
export const conditions = {
  entityNotFound: (entity: string): AmqpCondition => ({
    condition: 'amqp:not-found',
    description: `The messaging entity '${entity}' could not be found. To know more visit https://aka.ms/sbResourceMgrExceptions.`,
  }),
  consumerGroupNotFound: (hub: string, group: string): AmqpCondition =>
    conditions.entityNotFound(`${hub}:consumergroup:${group}`),
  entityDeleted: (hub: string): AmqpCondition => ({
    condition: 'amqp:resource-deleted',
    description: `The messaging entity '${hub}' was deleted.`,
  }),
  partitionOutOfRange: (partitionCount: number): AmqpCondition => ({
    condition: 'com.microsoft:argument-out-of-range',
    description: `The specified partition is invalid for an EventHub partition sender or receiver. It should be between 0 and ${partitionCount - 1}.`,
  }),
  unauthorized: (entity: string): AmqpCondition => ({
    condition: 'amqp:unauthorized-access',
    description: `Unauthorized access. 'Send, Listen' claim(s) are required to perform this operation. Resource: '${entity}'.`,
  }),
  messageTooLarge: (deliveryId: number, size: number, limit: number): AmqpCondition => ({
    condition: 'amqp:link:message-size-exceeded',
    description: `The received message (delivery-id:${deliveryId}, size:${size} bytes) exceeds the limit (${limit} bytes) currently allowed on the link.`,
  }),
  serverBusy: (): AmqpCondition => ({
    condition: 'com.microsoft:server-busy',
    description:
      'The request was terminated because the entity is being throttled. Error code : 50002. Sub error : 102. Please wait 4 seconds and try again. To know more visit https://aka.ms/sbResourceMgrExceptions',
  }),
  malformedMessage: (reason: string): AmqpCondition => ({
    condition: 'com.microsoft:argument-error',
    description: `The message is malformed: ${reason}.`,
  }),
  storeFailed: (reason: string): AmqpCondition => ({
    condition: 'amqp:internal-error',
    description: `The message could not be stored: ${reason}`,
  }),
  invalidSequenceNumber: (supplied: number, last: number): AmqpCondition => ({
    condition: 'com.microsoft:argument-error',
    description: `The supplied sequence number '${supplied}' is invalid. The last sequence number in the system is '${last}'`,
  }),
  invalidOffset: (supplied: number, last: number): AmqpCondition => ({
    condition: 'com.microsoft:argument-error',
    description: `The supplied offset '${supplied}' is invalid. The last offset in the system is '${last}'`,
  }),
  invalidFilter: (filter: string): AmqpCondition => ({
    condition: 'amqp:invalid-field',
    description: `The filter "${filter}" is not supported.`,
  }),
  stolen: (receiver: string, epoch: number, current: ReceiverName): AmqpCondition => ({
    condition: 'amqp:link:stolen',
    description: `New receiver '${receiver}' with higher epoch of '${epoch}' is created hence current receiver '${current.name}' with epoch '${current.epoch ?? ''}' is getting disconnected. If you are recreating the receiver, make sure a higher epoch is used.`,
  }),
  epochTooLow: (receiver: ReceiverName, currentEpoch: number): AmqpCondition => ({
    condition: 'amqp:link:stolen',
    description: `Receiver '${receiver.name}' with a higher epoch of '${currentEpoch}' already exists. Receiver '${receiver.name}' with epoch ${receiver.epoch} cannot be created. Make sure you are creating receiver with increasing epoch value to ensure connectivity, or ensure all old epoch receivers are closed or disconnected.`,
  }),
  epochReceiverExists: (epoch: number): AmqpCondition => ({
    condition: 'amqp:link:stolen',
    description: `At least one receiver for the endpoint is created with epoch of '${epoch}', and so non-epoch receiver is not allowed. Either reconnect with a higher epoch, or make sure all epoch receivers are closed or disconnected.`,
  }),
  tooManyReceivers: (limit: number): AmqpCondition => ({
    condition: 'amqp:resource-limit-exceeded',
    description: `Exceeded the maximum number of allowed receivers per partition in a consumer group which is ${limit}.`,
  }),
  outOfOrderSequence: (producerId: number, expected: number, actual: number): AmqpCondition => ({
    condition: 'com.microsoft:out-of-order-sequence',
    description: `Producer '${producerId}' sent sequence number ${actual} where ${expected} was expected.`,
  }),
  producerEpochStolen: (producerId: number, current: number, actual: number): AmqpCondition => ({
    condition: 'com.microsoft:producer-epoch-stolen',
    description: `Producer '${producerId}' with epoch ${actual} was superseded by epoch ${current}.`,
  }),
  publisherIdle: (idleMs: number): AmqpCondition => ({
    condition: 'amqp:link:detach-forced',
    description: `The link is force detached. Code: publisher. Details: AmqpEventHubPublisher.IdleTimerExpired: Idle timeout: ${idleMs} ms.`,
  }),
  injectedDetach: (): AmqpCondition => ({
    condition: 'amqp:link:detach-forced',
    description: 'The link is force detached by an injected fault.',
  }),
  repliesNotRead: (): AmqpCondition => ({
    condition: 'amqp:resource-limit-exceeded',
    description: 'Too many replies are waiting for credit on this link.',
  }),
} as const;

interface ReceiverName {
  readonly name: string;
  readonly epoch: number | undefined;
}

/** An AMQP error condition (AMQP 1.0 part 2, 2.8.14): what a detach, an end, a close or a rejection carries. */
export interface AmqpCondition {
  /** Symbol, for example `amqp:not-found`. */
  readonly condition: string;
  readonly description: string;
}

/** The peer broke the protocol. The connection is closed with this condition; never thrown for anything else. */
export class AmqpProtocolError extends Error implements AmqpCondition {
  override readonly name = 'AmqpProtocolError';
  readonly condition: string;

  constructor(condition: string, description: string) {
    super(description);
    this.condition = condition;
  }

  get description(): string {
    return this.message;
  }
}

/** Bytes that are no AMQP value, or a value of another type than its place demands. */
export function decodeError(description: string): AmqpProtocolError {
  return new AmqpProtocolError('amqp:decode-error', description);
}

/** Bytes that are no AMQP frame. */
export function framingError(description: string): AmqpProtocolError {
  return new AmqpProtocolError('amqp:connection:framing-error', description);
}

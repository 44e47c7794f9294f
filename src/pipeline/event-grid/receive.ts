import { startWebhook, type WebhookOptions } from '../../eventgrid/webhook.ts';
import { createIntake } from './receive-intake.ts';
import type { ReceiveOptions, ReceiveResult } from './receive-types.ts';

export interface ReceiveWebhookOptions extends ReceiveOptions {
  readonly webhook: Omit<WebhookOptions, 'deliver' | 'clock' | 'onProblem' | 'onHandshake'>;
  /** Called when the endpoint takes requests. */
  onListening?(url: string): Promise<void> | void;
  onHandshake?(subscription: string): void;
}

/**
 * Stores what Event Grid pushes. A delivery is answered with 200 when all of it is durable, in the container or in the
 * dead letter, and with 503 when any event has to be sent again.
 */
export async function receiveWebhook(
  options: ReceiveWebhookOptions,
): Promise<ReceiveResult & { readonly answers: Readonly<Record<string, number>> }> {
  const { clock, deadLetter, onProblem } = options;
  const intake = createIntake(options);
  const receiver = await startWebhook({
    ...options.webhook,
    clock,
    ...(onProblem && { onProblem }),
    ...(options.onHandshake && { onHandshake: options.onHandshake }),
    async deliver({ events, malformed, subscription, deliveryCount }) {
      await deadLetter.write(malformed.map(({ reason, body }) => ({ reason, event: body })));
      intake.totals.deadLettered += malformed.length;
      if (events.length === 0) return;
      const results = await intake.store(events, {
        schema: events[0]?.schema ?? 'cloudEvents',
        ...(subscription !== undefined && { subscription }),
        deliveryCount,
        receivedAt: new Date(clock.epochMicros() / 1000).toISOString(),
      });
      for (const result of results) if (result.kind === 'retry') throw new Error(result.reason);
    },
  });
  try {
    await options.onListening?.(receiver.url);
    await intake.end();
  } finally {
    await receiver.stop();
  }
  return { ...intake.result(), answers: receiver.answers() };
}

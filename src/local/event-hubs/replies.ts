import type { OutgoingLink } from '../amqp/outgoing-link.ts';
import { conditions } from './conditions.ts';
import { MAX_MESSAGE_BYTES } from './limits.ts';

const MAX_WAITING = 1_000;

interface ReplyLink {
  readonly link: OutgoingLink;
  readonly waiting: Buffer[];
}

/** The links of one connection on which replies of `$cbs` and `$management` go out. */
export class ReplyLinks {
  readonly #links = new Set<ReplyLink>();

  attach(link: OutgoingLink): void {
    const waiting: Buffer[] = [];
    const entry: ReplyLink = { link, waiting };
    this.#links.add(entry);
    link.accept({
      maxMessageSize: MAX_MESSAGE_BYTES,
      hasMore: () => waiting.length > 0,
      pull: (budget) => {
        while (waiting.length > 0 && link.canSend && budget.bytes > 0) {
          const bytes = waiting.shift()!;
          link.send({ bytes, start: 0, end: bytes.length }, budget);
        }
      },
      onClosed: () => this.#links.delete(entry),
    });
  }

  /**
   * Sends a reply to where the requester listens. Clients differ: the JavaScript SDK names its receiver in reply-to,
   * others name the receiver's target, and azure-eventhub for Python only shares the node with its sender.
   */
  send(node: string, replyTo: string | undefined, message: Buffer): void {
    const links = [...this.#links];
    const found =
      links.find(({ link }) => replyTo !== undefined && link.attach.targetAddress === replyTo) ??
      links.find(({ link }) => replyTo !== undefined && link.attach.name === replyTo) ??
      links.find(({ link }) => link.attach.sourceAddress?.toLowerCase() === node.toLowerCase());
    if (found === undefined) return;
    if (found.waiting.length >= MAX_WAITING) {
      found.link.detach(conditions.repliesNotRead());
      return;
    }
    found.waiting.push(message);
    found.link.wake();
  }
}

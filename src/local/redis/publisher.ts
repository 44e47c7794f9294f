import { globMatcher } from './glob.ts';
import type { Session } from './session.ts';

interface Pattern {
  readonly matches: (channel: string) => boolean;
  readonly sessions: Set<Session>;
}

/** Channels and patterns with their subscribers. Messages are not kept: who is not there does not get them. */
export class Publisher {
  readonly #channels = new Map<string, Set<Session>>();
  readonly #patterns = new Map<string, Pattern>();

  subscribe(session: Session, channel: string): void {
    const sessions = this.#channels.get(channel) ?? new Set();
    this.#channels.set(channel, sessions.add(session));
    session.channels.add(channel);
  }

  unsubscribe(session: Session, channel: string): void {
    const sessions = this.#channels.get(channel);
    sessions?.delete(session);
    if (sessions?.size === 0) this.#channels.delete(channel);
    session.channels.delete(channel);
  }

  subscribePattern(session: Session, text: string): void {
    const pattern = this.#patterns.get(text) ?? {
      matches: globMatcher(text) ?? (() => true),
      sessions: new Set<Session>(),
    };
    pattern.sessions.add(session);
    this.#patterns.set(text, pattern);
    session.patterns.add(text);
  }

  unsubscribePattern(session: Session, text: string): void {
    const pattern = this.#patterns.get(text);
    pattern?.sessions.delete(session);
    if (pattern?.sessions.size === 0) this.#patterns.delete(text);
    session.patterns.delete(text);
  }

  forget(session: Session): void {
    for (const channel of [...session.channels]) this.unsubscribe(session, channel);
    for (const pattern of [...session.patterns]) this.unsubscribePattern(session, pattern);
  }

  /** The number of deliveries. */
  publish(channel: string, message: Buffer): number {
    let deliveries = 0;
    for (const session of this.#channels.get(channel) ?? []) {
      session.push(['message', channel, message]);
      deliveries++;
    }
    for (const [text, { matches, sessions }] of this.#patterns) {
      if (!matches(channel)) continue;
      for (const session of sessions) {
        session.push(['pmessage', text, channel, message]);
        deliveries++;
      }
    }
    return deliveries;
  }

  activeChannels(match: ((channel: string) => boolean) | undefined): string[] {
    return [...this.#channels.keys()].filter((channel) => match?.(channel) ?? true);
  }

  subscribers(channel: string): number {
    return this.#channels.get(channel)?.size ?? 0;
  }

  get patternCount(): number {
    return this.#patterns.size;
  }
}

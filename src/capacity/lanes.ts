import type { PipelineModel } from './simulation-model.ts';

/** What happened in the lanes of the store in one step, by store group. */
export interface StoreStep {
  readonly written: Float64Array;
  readonly read: Float64Array;
  readonly requestUnits: Float64Array;
}

/** How often the service resets what a partition may spend. */
const BUDGET_MS = 1_000;

/** The queues between the hub and the change feed: by hub group, and by hub and store group where events wait for RU. */
export class Lanes {
  readonly #model: PipelineModel;
  /** In the hub, not read yet. */
  readonly #queued: Float64Array;
  /** Read and not stored. */
  readonly #unsettled: Float64Array;
  /** Read and not stored, by hub group (rows) and store group (columns). */
  readonly #waiting: Float64Array;
  /** Stored and not read from the feed. */
  readonly #changes: Float64Array;
  readonly #budget: Float64Array;
  readonly #refused: Float64Array;
  readonly step: StoreStep;
  /** Steps are long enough for reading with what the next second brings what this one wrote. */
  readonly #longSteps: boolean;

  constructor(model: PipelineModel, stepMs: number) {
    const hubs = model.load.hub.length;
    const stores = model.load.store.length;
    this.#model = model;
    this.#longSteps = stepMs >= BUDGET_MS;
    this.#queued = new Float64Array(hubs);
    this.#unsettled = new Float64Array(hubs);
    this.#waiting = new Float64Array(hubs * stores);
    this.#changes = new Float64Array(stores);
    this.#budget = new Float64Array(stores);
    this.#refused = new Float64Array(stores);
    this.step = {
      written: new Float64Array(stores),
      read: new Float64Array(stores),
      requestUnits: new Float64Array(stores),
    };
  }

  /** Events anywhere between the hub's door and the reader of the feed. */
  get pending(): number {
    return sum(this.#queued) + sum(this.#unsettled) + sum(this.#changes);
  }

  /** The service resets what a partition may spend every second; a coarse simulation gives several seconds at once. */
  refill(seconds: number): void {
    const { store, load } = this.#model;
    const perLane = Math.max(0, store.ruPerSecond - (store.readRuPerSecond ?? 0)) / store.physicalPartitions;
    for (const [group, { lanes }] of load.store.entries()) this.#budget[group] = perLane * lanes * seconds;
    this.#refused.fill(0);
  }

  /** Store groups whose budget ran out since it was refilled, each with how often it refuses in a second. */
  *refusals(): Generator<readonly [group: number, count: number]> {
    for (const [group, count] of this.#refused.entries()) if (count > 0) yield [group, count];
  }

  accept(events: number): void {
    for (const [group, { share }] of this.#model.load.hub.entries())
      (this.#queued[group] as number) += events * share;
  }

  /** Consumers read what the hub holds: as much as they, the hub's egress and the room for unsettled events allow. */
  receive(seconds: number): number {
    const { hub, ingest, load } = this.#model;
    // A step longer than a second passes on what it reads before it ends: its room is that of all its seconds.
    const room = ingest.maxUnsettled * Math.max(1, seconds);
    const wanted = load.hub.map(({ lanes }, group) =>
      Math.max(
        0,
        Math.min(
          this.#queued[group] as number,
          lanes * room - (this.#unsettled[group] as number),
          lanes * ingest.capacityPerSecond * seconds,
        ),
      ),
    );
    const total = wanted.reduce((all, events) => all + events, 0);
    const most = Math.min(ingest.consumers * ingest.capacityPerSecond, hub.egressPerSecond) * seconds;
    const part = total > most ? most / total : 1;
    const stores = load.store.length;
    for (const [group, events] of wanted.entries()) {
      const taken = events * part;
      const share = load.hub[group]?.share ?? 0;
      if (taken === 0 || share === 0) continue;
      (this.#queued[group] as number) -= taken;
      (this.#unsettled[group] as number) += taken;
      const row = group * stores;
      for (let store = 0; store < stores; store += 1)
        (this.#waiting[row + store] as number) += (taken * (load.shares[row + store] as number)) / share;
    }
    return total * part;
  }

  /**
   * Spends the budget of each store group on reading old changes, on writing, and on reading what was written. Writers leave
   * nothing to read with when there is more to write: then changes wait until the budget is reset. `writing` and `reading` are
   * the parts of the step in which writers and readers of the feed are up.
   */
  writeAndRead(seconds: number, writing = 1, reading = 1): StoreStep {
    const { store, feed, load } = this.#model;
    const { written, read, requestUnits } = this.step;
    const ruPerChange = feed?.ruPerChange ?? 0;
    let readable = feed === undefined || reading === 0 ? 0 : feed.capacityPerSecond * seconds * reading;
    const hubs = load.hub.length;
    const stores = load.store.length;
    for (let column = 0; column < stores; column += 1) {
      let budget = this.#budget[column] as number;
      const oldChanges = Math.min(this.#changes[column] as number, readable, affordable(budget, ruPerChange));
      budget -= spent(oldChanges, ruPerChange);
      readable -= oldChanges;
      let waiting = 0;
      for (let row = 0; row < hubs; row += 1) waiting += this.#waiting[row * stores + column] as number;
      const price = store.ruPerWrite + (this.#longSteps ? ruPerChange : 0);
      const stored = Math.min(waiting, affordable(budget, price)) * writing;
      if (stored > 0) this.#settle(column, stored / waiting);
      budget -= spent(stored, store.ruPerWrite);
      const newChanges = feed === undefined ? 0 : Math.min(stored, readable, affordable(budget, ruPerChange));
      readable -= newChanges;
      const charge = spent(stored, store.ruPerWrite) + spent(oldChanges + newChanges, ruPerChange);
      this.#budget[column] = (this.#budget[column] as number) - charge;
      if (feed !== undefined) (this.#changes[column] as number) += stored - oldChanges - newChanges;
      if (writing > 0 && stored < waiting * writing * 0.999999)
        this.#refused[column] = store.refusedPerSecond * (load.store[column]?.lanes ?? 1);
      written[column] = stored;
      read[column] = oldChanges + newChanges;
      requestUnits[column] = charge;
    }
    return this.step;
  }

  #settle(column: number, part: number): void {
    const stores = this.#model.load.store.length;
    for (let row = 0; row < this.#unsettled.length; row += 1) {
      const at = row * stores + column;
      const events = (this.#waiting[at] as number) * part;
      (this.#waiting[at] as number) -= events;
      (this.#unsettled[row] as number) -= events;
    }
  }
}

function affordable(budget: number, price: number): number {
  return price === 0 ? Number.POSITIVE_INFINITY : Math.max(0, budget) / price;
}

/** Nothing at no price, although the number may be infinite. */
function spent(count: number, price: number): number {
  return price === 0 ? 0 : count * price;
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

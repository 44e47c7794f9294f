import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PipeError } from '../../util/errors.ts';
import { Hub } from './hub.ts';
import type { HubDefinition } from './options.ts';
import type { PartitionLogOptions } from './partition-log.ts';

/** Names as the service allows them; `$` begins system entities. */
const HUB_NAME = /^[a-z0-9](?:[a-z0-9._-]{0,254}[a-z0-9])?$/i;
const GROUP_NAME = /^\$?[a-z0-9](?:[a-z0-9._-]{0,48}[a-z0-9])?$/i;
const MAX_PARTITIONS = 1_024;
const AUTO_PARTITIONS = 4;
/** A client that invents names must not use up the memory. */
const MAX_AUTO_HUBS = 1_000;

export interface NamespaceOptions {
  readonly autoCreate: boolean;
  readonly log: Omit<PartitionLogOptions, 'folder'>;
  readonly dataDir: string | undefined;
  readonly nowMs: () => number;
}

interface StoredHub extends Required<HubDefinition> {
  readonly version: 1;
  readonly createdMs: number;
}

/** The hubs of the emulated namespace; names are case-insensitive. */
export class Namespace {
  readonly #options: NamespaceOptions;
  readonly #hubs = new Map<string, Hub>();

  constructor(options: NamespaceOptions) {
    this.#options = options;
    if (options.dataDir === undefined) return;
    mkdirSync(options.dataDir, { recursive: true });
    for (const name of readdirSync(options.dataDir)) this.#restore(join(options.dataDir, name));
  }

  get hubs(): readonly Hub[] {
    return [...this.#hubs.values()];
  }

  /** The hub of this name, made when the namespace may do so. */
  find(name: string): Hub | undefined {
    const hub = this.#hubs.get(name.toLowerCase());
    if (hub !== undefined || !this.#options.autoCreate || !HUB_NAME.test(name)) return hub;
    if (this.#hubs.size >= MAX_AUTO_HUBS) return undefined;
    return this.#add({ name, partitionCount: AUTO_PARTITIONS });
  }

  /** The name of the consumer group as it was created; undefined when there is none. */
  findGroup(hub: Hub, name: string): string | undefined {
    const group = hub.consumerGroups.get(name.toLowerCase());
    if (group !== undefined || !this.#options.autoCreate || !GROUP_NAME.test(name)) return group;
    hub.consumerGroups.set(name.toLowerCase(), name);
    this.#save(hub);
    return name;
  }

  create(definition: HubDefinition): Hub {
    const { consumerGroups = [], name, partitionCount } = definition;
    if (!HUB_NAME.test(name))
      throw new PipeError('E_CONFIG', `invalid event hub name "${name}"`, {
        hint: 'use letters, digits, dots, dashes and underscores',
      });
    if (!Number.isInteger(partitionCount) || partitionCount < 1 || partitionCount > MAX_PARTITIONS)
      throw new PipeError(
        'E_CONFIG',
        `event hub ${name} asks for ${partitionCount} partitions, 1 to ${MAX_PARTITIONS} are possible`,
      );
    const invalid = consumerGroups.find((group) => !GROUP_NAME.test(group));
    if (invalid !== undefined) throw new PipeError('E_CONFIG', `invalid consumer group name "${invalid}"`);
    if (this.#hubs.has(name.toLowerCase()))
      throw new PipeError('E_CONFIG', `event hub ${name} exists already`);
    return this.#add(definition);
  }

  /** Creates the hub unless it came back from the data folder. */
  ensure(definition: HubDefinition): void {
    const hub = this.#hubs.get(definition.name.toLowerCase());
    if (hub === undefined) {
      this.create(definition);
      return;
    }
    if (hub.partitions.length !== definition.partitionCount)
      throw new PipeError(
        'E_CONFIG',
        `event hub ${hub.name} has ${hub.partitions.length} partitions in ${this.#options.dataDir}, not ${definition.partitionCount}`,
        { hint: 'use another data folder, or the partition count it was created with' },
      );
    for (const group of definition.consumerGroups ?? []) hub.consumerGroups.set(group.toLowerCase(), group);
    this.#save(hub);
  }

  /** Adds partitions to a hub. The service allows that in its Premium and Dedicated tiers, and never to take one away. */
  grow(name: string, partitionCount: number): void {
    const hub = this.#hubs.get(name.toLowerCase());
    if (hub === undefined) throw new PipeError('E_NOT_FOUND', `there is no event hub ${name}`);
    const count = hub.partitions.length;
    if (!Number.isInteger(partitionCount) || partitionCount < count || partitionCount > MAX_PARTITIONS)
      throw new PipeError(
        'E_CONFIG',
        `event hub ${name} has ${count} partitions and cannot have ${partitionCount}, ${count} to ${MAX_PARTITIONS} are possible`,
      );
    hub.grow(partitionCount);
    this.#save(hub);
  }

  delete(name: string): boolean {
    const hub = this.#hubs.get(name.toLowerCase());
    if (hub === undefined) return false;
    this.#hubs.delete(name.toLowerCase());
    for (const end of [...hub.links]) end();
    for (const { log } of hub.partitions) log.close();
    const folder = this.#folderOf(hub.name);
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    return true;
  }

  close(): void {
    for (const hub of this.#hubs.values()) for (const { log } of hub.partitions) log.close();
  }

  #add(definition: HubDefinition): Hub {
    const hub = this.#open({
      consumerGroups: [],
      ...definition,
      version: 1,
      createdMs: this.#options.nowMs(),
    });
    this.#save(hub);
    return hub;
  }

  #open(stored: StoredHub): Hub {
    const folder = this.#folderOf(stored.name);
    if (folder !== undefined) mkdirSync(folder, { recursive: true });
    const hub = new Hub({
      name: stored.name,
      partitionCount: stored.partitionCount,
      consumerGroups: stored.consumerGroups,
      createdMs: stored.createdMs,
      log: { ...this.#options.log, ...(folder === undefined ? {} : { folder }) },
    });
    this.#hubs.set(stored.name.toLowerCase(), hub);
    return hub;
  }

  #restore(folder: string): void {
    let text: string;
    try {
      text = readFileSync(join(folder, 'hub.json'), 'utf8');
    } catch {
      // Killed between making the folder and describing the hub: nothing was acknowledged for it.
      return;
    }
    this.#open(JSON.parse(text) as StoredHub);
  }

  #save(hub: Hub): void {
    const folder = this.#folderOf(hub.name);
    if (folder === undefined) return;
    const stored: StoredHub = {
      version: 1,
      name: hub.name,
      partitionCount: hub.partitions.length,
      consumerGroups: [...hub.consumerGroups.values()],
      createdMs: hub.createdMs,
    };
    const path = join(folder, 'hub.json');
    writeFileSync(`${path}.new`, JSON.stringify(stored, null, 2));
    renameSync(`${path}.new`, path);
  }

  #folderOf(name: string): string | undefined {
    const { dataDir } = this.#options;
    return dataDir === undefined ? undefined : join(dataDir, name.toLowerCase());
  }
}

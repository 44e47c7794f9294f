export { loadOfficialConfig } from './official-config.ts';
export type {
  EventHubsOptions,
  EventHubsService,
  EventHubsStats,
  HubDefinition,
  HubStats,
  PartitionStats,
} from './options.ts';
export { startEventHubs } from './service.ts';

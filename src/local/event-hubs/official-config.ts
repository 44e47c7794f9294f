import { readFileSync } from 'node:fs';
import { PipeError } from '../../util/errors.ts';
import type { HubDefinition } from './options.ts';

interface OfficialConfig {
  readonly UserConfig?: {
    readonly NamespaceConfig?: readonly {
      readonly Type?: string;
      readonly Entities?: readonly {
        readonly Name?: string;
        readonly PartitionCount?: number | string;
        readonly ConsumerGroups?: readonly { readonly Name?: string }[];
      }[];
    }[];
  };
}

/**
 * Reads the `Config.json` of Microsoft's Event Hubs emulator
 * (https://github.com/Azure/azure-event-hubs-emulator-installer), unchanged. Its limits (one namespace, ten hubs) are
 * not imposed; the entities of all namespaces are taken together.
 *
 * @throws PipeError E_CONFIG when the file cannot be read or is of another form.
 */
export function loadOfficialConfig(path: string): readonly HubDefinition[] {
  let config: OfficialConfig;
  try {
    config = JSON.parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, '')) as OfficialConfig;
  } catch (cause) {
    throw new PipeError('E_CONFIG', `cannot read the emulator configuration ${path} (${String(cause)})`, {
      cause,
    });
  }
  const namespaces = config.UserConfig?.NamespaceConfig;
  if (!Array.isArray(namespaces))
    throw new PipeError('E_CONFIG', `${path} has no UserConfig.NamespaceConfig`, {
      hint: 'expected the Config.json of the Azure Event Hubs emulator',
    });
  return (namespaces as NonNullable<NonNullable<OfficialConfig['UserConfig']>['NamespaceConfig']>)
    .filter(({ Type = 'EventHub' }) => Type.toLowerCase() === 'eventhub')
    .flatMap(({ Entities = [] }) => Entities)
    .map(({ ConsumerGroups = [], Name, PartitionCount }) => {
      const partitionCount = Number(PartitionCount);
      if (Name === undefined || !Number.isInteger(partitionCount))
        throw new PipeError('E_CONFIG', `${path} has an entity without Name or PartitionCount`);
      const consumerGroups = ConsumerGroups.flatMap((group) => group.Name ?? []);
      return { name: Name, partitionCount, consumerGroups };
    });
}

// Clients of other languages against the embedded Event Hubs.
import { Unavailable } from '../suite.mjs';

export async function run() {
  throw new Unavailable(
    'azure-eventhub 5.11 of Debian speaks TLS to port 5671 only, and the embedded Event Hubs has no TLS endpoint',
  );
}

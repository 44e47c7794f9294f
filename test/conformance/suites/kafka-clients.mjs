// Kafka clients (kcat, librdkafka) against the Kafka endpoint of the embedded Event Hubs.
import { Unavailable } from '../suite.mjs';

export async function run() {
  throw new Unavailable('the embedded Event Hubs has no Kafka endpoint yet');
}

// `items.executeBulkOperations` tuned by hand: one call per page of 1,000, four pages of each partition in flight, which hides
// most of the second that a call takes at least, and minimal responses.
import { bulkUpserts } from './ingest-execute-bulk-run.mjs';

await bulkUpserts({ pagesInFlight: 4 }, { contentResponseOnWriteEnabled: false });

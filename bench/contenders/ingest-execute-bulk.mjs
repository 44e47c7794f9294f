// `items.executeBulkOperations`, the SDK's current bulk API, as its documentation shows it: the handler awaits one call per page
// of 1,000.
import { bulkUpserts } from './ingest-execute-bulk-run.mjs';

await bulkUpserts({}, {});

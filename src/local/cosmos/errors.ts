/**
 * Every error of the wire, with its status, substatus, code and text together. Texts are the service's own where official
 * tests or programs compare them.
 */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly status: number;
  readonly code: string;
  readonly substatus: number | undefined;
  /** Request units that the failed attempt costs; the service charges failures, except 429. */
  readonly requestCharge: number;
  readonly retryAfterMs: number | undefined;
  /** `additionalErrorInfo` of the body: the query plan of error 1004. */
  readonly additionalInfo: string | undefined;

  constructor(status: number, code: string, message: string, extra: WireErrorExtra = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.substatus = extra.substatus;
    this.requestCharge = extra.requestCharge ?? 1;
    this.retryAfterMs = extra.retryAfterMs;
    this.additionalInfo = extra.additionalInfo;
  }
}

interface WireErrorExtra {
  readonly substatus?: number;
  readonly requestCharge?: number;
  readonly retryAfterMs?: number;
  readonly additionalInfo?: string;
}

/** Cost of a write that found a conflict, no item or a failed precondition (assumed; facts say 1.24 was seen). */
const FAILED_WRITE_CHARGE = 1.24;

const listed = (text: string): string => `Message: {"Errors":[${JSON.stringify(text)}]}`;

export const badRequest = (message: string, substatus?: number): WireError =>
  new WireError(400, 'BadRequest', message, substatus === undefined ? {} : { substatus });

export const missingId = (): WireError =>
  badRequest("The input content is invalid because the required properties - 'id; ' - are missing");

/** Documents may nest 128 levels (Azure Cosmos DB service quotas). */
export const MAX_NESTING = 128;

export const tooDeep = (): WireError =>
  badRequest(`The document is nested deeper than ${MAX_NESTING} levels`);

export const partitionKeyMismatch = (): WireError =>
  badRequest("PartitionKey extracted from document doesn't match the one specified in the header", 1001);

export const batchPartitionKeyMismatch = (): WireError =>
  badRequest(
    'One or more operations within the batch request have a different partition key value than the request.',
    1001,
  );

export const tooManyOperations = (): WireError =>
  badRequest(listed('Batch request has more operations than what is supported.'));

export const sqlError = (message: string): WireError =>
  badRequest(
    `Message: {"errors":[{"severity":"Error","location":{"start":0,"end":0},"code":"SC1001","message":${JSON.stringify(message)}}]}`,
  );

export const crossPartitionQuery = (plan: unknown): WireError =>
  new WireError(
    400,
    'BadRequest',
    'The provided cross partition query can not be directly served by the gateway. This is a first chance (internal) exception that all newer clients will know how to handle gracefully. This exception is traced, but unless you see it bubble up as an exception (which only happens on older SDK clients), then you can safely ignore this message.',
    { substatus: 1004, additionalInfo: JSON.stringify(plan) },
  );

export const unauthorized = (payload: string): WireError =>
  new WireError(
    401,
    'Unauthorized',
    `The input authorization token can't serve the request. The wrong key is being used or the expected payload is not built as per the protocol. Server used the following payload to sign: '${payload.replaceAll('\n', '\\n')}'`,
    { requestCharge: 0 },
  );

export const missingAuthorization = (): WireError =>
  new WireError(
    401,
    'Unauthorized',
    'Required Header authorization is missing. Ensure a valid Authorization token is passed.',
    {
      requestCharge: 0,
    },
  );

export const expiredAuthorization = (date: string, serverDate: string): WireError =>
  new WireError(
    403,
    'Forbidden',
    `The authorization token is not valid at the current time. Please create another token and retry (token start time: ${date}, token expiry time: ${date}, current server time: ${serverDate}).`,
    { requestCharge: 0 },
  );

export const partitionFull = (): WireError =>
  new WireError(403, 'Forbidden', listed('Partition key reached maximum size of 20 GB'), { substatus: 1014 });

export const notFound = (requestCharge = 1): WireError =>
  new WireError(
    404,
    'NotFound',
    listed('Resource Not Found. Learn more: https://aka.ms/cosmosdb-tsg-not-found'),
    {
      requestCharge,
    },
  );

export const itemNotFound = (): WireError =>
  new WireError(404, 'NotFound', 'Entity with the specified id does not exist in the system.', {
    requestCharge: FAILED_WRITE_CHARGE,
  });

export const methodNotAllowed = (method: string, path: string): WireError =>
  new WireError(405, 'MethodNotAllowed', `The requested verb ${method} is not supported on ${path}.`);

export const requestTimeout = (): WireError =>
  new WireError(
    408,
    'RequestTimeout',
    listed('Request timed out. Learn more: https://aka.ms/cosmosdb-tsg-request-timeout'),
    {
      requestCharge: 0,
    },
  );

export const resourceExists = (): WireError =>
  new WireError(409, 'Conflict', listed('Resource with specified id, name, or unique index already exists.'));

export const itemExists = (): WireError =>
  new WireError(409, 'Conflict', 'Entity with the specified id already exists in the system.', {
    requestCharge: FAILED_WRITE_CHARGE,
  });

export const uniqueKeyViolated = (): WireError =>
  new WireError(409, 'Conflict', 'Unique index constraint violation.', {
    requestCharge: FAILED_WRITE_CHARGE,
  });

/** The addressed partition key range was split: clients refresh their routing map and try again. */
export const rangeGone = (): WireError =>
  new WireError(410, 'Gone', listed('The requested resource is no longer available at the server.'), {
    substatus: 1002,
    requestCharge: 0,
  });

export const preconditionFailed = (): WireError =>
  new WireError(
    412,
    'PreconditionFailed',
    listed(
      'One of the specified pre-condition is not met. Learn more: https://aka.ms/CosmosDB/sql/errors/precondition-failed',
    ),
    { requestCharge: FAILED_WRITE_CHARGE },
  );

export const patchConditionFailed = (): WireError =>
  new WireError(412, 'PreconditionFailed', listed('The patch condition specified is not satisfied.'), {
    substatus: 1110,
    requestCharge: FAILED_WRITE_CHARGE,
  });

export const tooLarge = (): WireError =>
  new WireError(413, 'RequestEntityTooLarge', listed('Request size is too large'), { requestCharge: 0 });

export const throttled = (retryAfterMs: number): WireError =>
  new WireError(
    429,
    'TooManyRequests',
    listed(
      'Request rate is large. More Request Units may be needed, so no changes were made. Please retry this request later. Learn more: http://aka.ms/cosmosdb-error-429',
    ),
    { substatus: 3200, requestCharge: 0, retryAfterMs },
  );

export const retryWith = (): WireError =>
  new WireError(
    449,
    'RetryWith',
    listed('Conflicting request to resource has been attempted. Retry to avoid conflicts.'),
    {
      requestCharge: 0,
      retryAfterMs: 10,
    },
  );

export const unavailable = (): WireError =>
  new WireError(
    503,
    'ServiceUnavailable',
    listed('Service is currently unavailable. Learn more: https://aka.ms/cosmosdb-tsg-service-unavailable'),
    {
      requestCharge: 0,
    },
  );

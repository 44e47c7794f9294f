/** A refusal as Event Grid words it; the body is `{"error":{"code","message","details"}}`. */
export class EventGridError extends Error {
  override readonly name = 'EventGridError';
  readonly status: number;
  readonly code: string;
  readonly detail: string | undefined;

  constructor(status: number, code: string, message: string, detail?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.detail = detail;
  }

  toJSON(): unknown {
    const details = this.detail && [{ code: this.detail, message: this.message }];
    return { error: { code: this.code, message: this.message, ...(details && { details }) } };
  }
}

/** Every refusal of the service: status, code and text together, so that each can be found by its words. */
export const refuse = {
  apiVersion: () => new EventGridError(400, 'BadRequest', 'The api-version query parameter is required.'),
  path: () => new EventGridError(404, 'NotFound', 'The specified path does not exist.'),
  rootPath: () =>
    new EventGridError(
      400,
      'BadRequest',
      'Events are published to /{topic}/api/events: the endpoint must end in /api/events.',
    ),
  topic: (name: string) => new EventGridError(404, 'NotFound', `The topic ${name} does not exist.`),
  subscription: (name: string) =>
    new EventGridError(404, 'NotFound', `The event subscription ${name} does not exist.`),
  json: () => new EventGridError(400, 'BadRequest', 'The request body is not valid JSON.'),
  tooLarge: (limit: number) =>
    new EventGridError(
      413,
      'RequestEntityTooLarge',
      `The maximum size (${limit}) for the request body has been exceeded.`,
    ),
  schema: (schema: string, reason: string) =>
    new EventGridError(
      400,
      'BadRequest',
      `This resource is configured to receive event in '${schema}' schema. The JSON received does not conform to the expected schema. ${reason}`,
      'InputJsonInvalid',
    ),
  contentType: () =>
    new EventGridError(
      400,
      'BadRequest',
      "This resource is configured for 'CloudEventV10' schema and requires 'application/cloudevents+json' or 'application/cloudevents-batch+json' content-type header.",
    ),
  key: () =>
    new EventGridError(
      401,
      'Unauthorized',
      'The request authorization key is not authorized for this topic.',
    ),
  signature: () =>
    new EventGridError(
      401,
      'Unauthorized',
      'The request authorization signature is not valid for this topic, or has expired.',
    ),
  noCredential: () =>
    new EventGridError(
      401,
      'Unauthorized',
      'Request must contain one of the following authorization signature: aeg-sas-token, aeg-sas-key.',
    ),
  invalid: (message: string) => new EventGridError(400, 'BadRequest', message),
  busy: () =>
    new EventGridError(
      503,
      'ServiceUnavailable',
      'The service is busy: the backlog of a subscription is full. Please retry.',
    ),
  tooManyRequests: () =>
    new EventGridError(
      429,
      'TooManyRequests',
      'The topic is receiving more requests than it allows. Please retry.',
    ),
} as const;

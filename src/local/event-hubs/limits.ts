/** As the service: standard tier messages, and the 100 requests that it lets wait on a request link. */
export const MAX_MESSAGE_BYTES = 1_048_576;
export const REQUEST_CREDIT = 100;

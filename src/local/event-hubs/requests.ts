import type { IncomingLink } from '../amqp/incoming-link.ts';
import { decodeRequest, type RequestMessage, SECTION } from '../amqp/message.ts';
import { AmqpWriter } from '../amqp/writer.ts';
import { verifySasToken } from './authorization.ts';
import { type Broker, wallMs } from './broker.ts';
import { conditions } from './conditions.ts';
import type { Hub, Partition } from './hub.ts';
import { MAX_MESSAGE_BYTES, REQUEST_CREDIT } from './limits.ts';

interface Reply {
  readonly status: number;
  readonly description: string;
  /** Error condition, when it failed. */
  readonly condition?: string;
  /** Entries of the body's map, or nothing. */
  readonly body?: { readonly count: number; readonly write: (writer: AmqpWriter) => void };
}

type Answer = (broker: Broker, link: IncomingLink, request: RequestMessage) => Reply;

/** True for the addresses of the two request nodes, alone or below a hub. */
export function isRequestNode(address: string): boolean {
  return /(?:^|\/)\$(?:cbs|management)$/i.test(address);
}

/** Serves requests that arrive on a link to `$cbs` or `$management`. */
export function attachRequests(broker: Broker, link: IncomingLink): void {
  const node = link.attach.targetAddress ?? '';
  const answer = /\$cbs$/i.test(node) ? putToken : read;
  link.accept({
    maxMessageSize: MAX_MESSAGE_BYTES,
    credit: REQUEST_CREDIT,
    tooLarge: (id, size) => conditions.messageTooLarge(id, size, MAX_MESSAGE_BYTES),
    onDelivery: (delivery) => {
      const request = decodeRequest(delivery.bytes, delivery.start, delivery.end);
      link.accepted(delivery);
      const reply = encodeReply(request, answer(broker, link, request));
      broker.peer(link.session.connection).replies.send(node, request.replyTo, reply);
    },
  });
}

/** Claims-based security: a token for an audience, valid for this connection. */
const putToken: Answer = (broker, link, { applicationProperties, body }) => {
  const audience = String(applicationProperties.get('name') ?? '');
  const type = applicationProperties.get('type');
  if (applicationProperties.get('operation') !== 'put-token')
    return { status: 400, description: 'Only the operation put-token is supported.' };
  if (type !== 'servicebus.windows.net:sastoken')
    return {
      status: 401,
      description: `Tokens of type '${type}' are not accepted here, use a shared access key.`,
    };
  const verdict = verifySasToken(String(body), broker.policy, wallMs(broker.clock));
  if (!verdict.ok || broker.faults.draw('unauthorized'))
    return {
      status: 401,
      description: `InvalidSignature: ${verdict.ok ? 'injected fault' : verdict.reason}.`,
      condition: 'amqp:unauthorized-access',
    };
  broker.peer(link.session.connection).claims.put(audience, verdict.expiresAtMs);
  return { status: 202, description: 'Accepted' };
};

/** Runtime information of a hub or a partition. */
const read: Answer = (broker, link, { applicationProperties }) => {
  const nowMs = wallMs(broker.clock);
  const { connection } = link.session;
  const name = String(applicationProperties.get('name') ?? '');
  const token = applicationProperties.get('security_token');
  const authorized =
    connection.authenticated ||
    broker.peer(connection).claims.some(nowMs) ||
    (typeof token === 'string' && verifySasToken(token, broker.policy, nowMs).ok);
  if (!authorized) return failure(401, conditions.unauthorized(name));
  if (broker.faults.draw('server-busy')) return failure(503, conditions.serverBusy());
  const hub = broker.namespace.find(name);
  if (hub === undefined) return failure(404, conditions.entityNotFound(name));
  if (applicationProperties.get('type') !== 'com.microsoft:partition') return describeHub(hub);
  const partition = hub.partition(String(applicationProperties.get('partition')));
  if (partition === undefined) return failure(400, conditions.partitionOutOfRange(hub.partitions.length));
  partition.log.expire(nowMs);
  return describePartition(hub, partition);
};

function failure(status: number, error: { readonly condition: string; readonly description: string }): Reply {
  return { status, description: error.description, condition: error.condition };
}

function describeHub(hub: Hub): Reply {
  const write = (writer: AmqpWriter): void => {
    writer.string('name').string(hub.name).string('type').string('com.microsoft:eventhub');
    writer.string('created_at').timestamp(hub.createdMs);
    writer.string('partition_count').int(hub.partitions.length);
    writer.string('partition_ids').stringArray(hub.partitions.map(({ id }) => id));
    writer.string('georeplication_factor').int(1);
  };
  return { status: 200, description: 'OK', body: { count: 6, write } };
}

function describePartition(hub: Hub, { id, log }: Partition): Reply {
  const write = (writer: AmqpWriter): void => {
    writer.string('name').string(hub.name).string('type').string('com.microsoft:partition');
    writer.string('partition').string(id);
    writer.string('begin_sequence_number').long(log.firstSequence);
    writer.string('begin_sequence_number_epoch').int(-1);
    writer.string('last_enqueued_sequence_number').long(log.nextSequence - 1);
    writer.string('last_enqueued_sequence_number_epoch').int(-1);
    writer.string('last_enqueued_offset').string(String(log.lastOffset));
    writer.string('last_enqueued_time_utc').timestamp(log.lastEnqueuedMs);
    writer.string('is_partition_empty').boolean(log.nextSequence === log.firstSequence);
  };
  return { status: 200, description: 'OK', body: { count: 10, write } };
}

function encodeReply(request: RequestMessage, { body, condition, description, status }: Reply): Buffer {
  const writer = new AmqpWriter();
  // Thirteen fields as the service has it; only the correlation id is set, in the type the message id came in.
  writer.descriptor(SECTION.properties).list(13, () => {
    for (let i = 0; i < 13; i++) {
      if (i === 5) writer.encoded(request.messageId);
      else writer.null();
    }
  });
  writer.descriptor(SECTION.applicationProperties).map(condition === undefined ? 3 : 4, () => {
    writer.string('operation').string(String(request.applicationProperties.get('operation') ?? ''));
    writer.string('status-code').int(status).string('status-description').string(description);
    if (condition !== undefined) writer.string('error-condition').symbol(condition);
  });
  writer.descriptor(SECTION.value);
  if (body === undefined) writer.null();
  else writer.map(body.count, () => body.write(writer));
  return writer.bytes;
}

"""azure-eventhub for Python against the embedded Event Hubs: one JSON line per check on stdout."""

import asyncio
import json
import os
import re
import sys
import time
import traceback

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient, TransportType
from azure.eventhub.aio import EventHubConsumerClient as AsyncConsumer
from azure.eventhub.aio import EventHubProducerClient as AsyncProducer
from azure.eventhub.exceptions import AuthenticationError, EventDataSendError, EventHubError

PLAIN = os.environ["EVENTHUB_CONNECTION_STRING"]
SECURE = PLAIN.replace("UseDevelopmentEmulator=true;", "")
# The client takes a port of the connection string for plain connections only.
ENDPOINT = re.search("Endpoint=([^;]+)", PLAIN)[1]
CA = os.environ["CA_FILE"]
TLS = {"conn_str": SECURE, "connection_verify": CA, "custom_endpoint_address": ENDPOINT}
WAYS = {
    "plain": {"conn_str": PLAIN},
    "TLS": TLS,
    "WebSockets": {**TLS, "transport_type": TransportType.AmqpOverWebsocket},
}
LIMIT_S = 15


def producer(hub, way="TLS", **options):
    return EventHubProducerClient.from_connection_string(eventhub_name=hub, **WAYS[way], **options)


def consumer(hub, way="TLS", group="$Default", **options):
    return EventHubConsumerClient.from_connection_string(
        consumer_group=group, eventhub_name=hub, **WAYS[way], **options
    )


def receive(client, count, **options):
    """Receives `count` events of all partitions, or those of one when `partition_id` is among the options."""
    events = []
    deadline = time.monotonic() + LIMIT_S

    def on_event(context, event):
        if event is not None:
            events.append((context.partition_id, event))
        if len(events) >= count or time.monotonic() > deadline:
            client.close()

    def on_error(_context, error):
        client.close()
        raise error

    with client:
        client.receive(on_event, on_error=on_error, max_wait_time=1, **{"starting_position": "-1", **options})
    assert len(events) >= count, f"{len(events)} of {count} events"
    return events


def round_trip(way):
    hub = f"trip-{way.lower()}"
    with producer(hub, way) as client:
        batch = client.create_batch(partition_id="1")
        for number in range(100):
            batch.add(EventData(json.dumps({"number": number})))
        client.send_batch(batch)
    events = receive(consumer(hub, way), 100, partition_id="1")
    assert [json.loads(event.body_as_str())["number"] for _, event in events] == list(range(100))
    assert [event.sequence_number for _, event in events] == list(range(100))


def properties():
    with producer("telemetry") as client:
        hub = client.get_eventhub_properties()
        assert hub["eventhub_name"] == "telemetry"
        assert hub["partition_ids"] == ["0", "1", "2", "3"]
        partition = client.get_partition_properties("0")
        assert partition["is_empty"] is True and partition["beginning_sequence_number"] == 0


def message_properties():
    event = EventData(b"\x00\x01\xff")
    event.properties = {"text": "x", "number": 7, "flag": True, "ratio": 0.5}
    event.content_type, event.correlation_id, event.message_id = "application/x", "c-1", "m-1"
    with producer("props") as client:
        client.send_event(event, partition_id="0")
    [(_, got)] = receive(consumer("props"), 1, partition_id="0")
    assert b"".join(got.body) == b"\x00\x01\xff"
    texts = {(k.decode() if isinstance(k, bytes) else k): v for k, v in got.properties.items()}
    assert texts["number"] == 7 and texts["flag"] is True and texts["ratio"] == 0.5
    assert texts["text"] in (b"x", "x")
    assert (got.content_type, got.correlation_id, got.message_id) == ("application/x", "c-1", "m-1")
    assert got.enqueued_time is not None and got.offset == "0"


def partition_key():
    with producer("keyed") as client:
        for key in ("a", "b", "c", "a"):
            client.send_batch([EventData(key)], partition_key=key)
    events = receive(consumer("keyed"), 4)
    assert all(event.body_as_str() == event.partition_key.decode() for _, event in events)
    assert len({where for where, event in events if event.body_as_str() == "a"}) == 1


def positions():
    with producer("positions") as client:
        client.send_batch([EventData(str(n)) for n in range(10)], partition_id="0")
    tail = receive(consumer("positions"), 3, partition_id="0", starting_position=6)
    assert [event.body_as_str() for _, event in tail] == ["7", "8", "9"]
    inclusive = receive(
        consumer("positions"), 4, partition_id="0", starting_position=6, starting_position_inclusive=True
    )
    assert [event.body_as_str() for _, event in inclusive] == ["6", "7", "8", "9"]


def last_enqueued():
    with producer("runtime") as client:
        client.send_batch([EventData("a"), EventData("b")], partition_id="0")
    seen = {}
    client = consumer("runtime")

    def on_event(context, event):
        if event is not None and event.body_as_str() == "b":
            seen.update(context.last_enqueued_event_properties)
            client.close()

    with client:
        client.receive(
            on_event, partition_id="0", starting_position="-1", track_last_enqueued_event_properties=True
        )
    assert seen["sequence_number"] == 1


def large_messages():
    with producer("large") as client:
        client.send_event(EventData("x" * 900_000), partition_id="0")
        try:
            client.send_event(EventData("x" * 1_100_000), partition_id="0")
        except (ValueError, EventDataSendError, EventHubError):
            pass
        else:
            raise AssertionError("an event above the limit was taken")
    [(_, event)] = receive(consumer("large"), 1, partition_id="0")
    assert len(event.body_as_str()) == 900_000


def wrong_key():
    bad = {**TLS, "conn_str": re.sub("SharedAccessKey=[^;]+", "SharedAccessKey=d3Jvbmc=", SECURE)}
    client = EventHubProducerClient.from_connection_string(eventhub_name="telemetry", retry_total=0, **bad)
    try:
        with client:
            client.send_event(EventData("x"))
    except AuthenticationError:
        return
    raise AssertionError("a wrong key was taken")


def untrusted():
    client = EventHubProducerClient.from_connection_string(
        SECURE, eventhub_name="telemetry", custom_endpoint_address=ENDPOINT, retry_total=0
    )
    try:
        with client:
            client.send_event(EventData("x"))
    except EventHubError as error:
        assert "certificate" in str(error).lower(), str(error)
        return
    raise AssertionError("a certificate that nobody vouches for was taken")


def owner_level():
    errors = []
    with producer("owned") as client:
        client.send_event(EventData("x"), partition_id="0")
    first, second = consumer("owned", retry_total=0), consumer("owned", retry_total=0)

    def on_first(_context, event):
        if event is not None:
            receive(second, 1, partition_id="0", owner_level=2)

    def on_error(_context, error):
        errors.append(str(error))
        first.close()

    with first:
        first.receive(
            on_first, on_error=on_error, partition_id="0", owner_level=1, starting_position="-1", max_wait_time=1
        )
    assert errors and "higher epoch" in errors[0], errors


async def asynchronous(way):
    hub = f"async-{way.lower()}"
    async with AsyncProducer.from_connection_string(eventhub_name=hub, **WAYS[way]) as client:
        batch = await client.create_batch()
        for number in range(50):
            batch.add(EventData(str(number)))
        await client.send_batch(batch)
    client = AsyncConsumer.from_connection_string(consumer_group="$Default", eventhub_name=hub, **WAYS[way])
    seen = []
    done = asyncio.Event()

    async def on_event(_context, event):
        seen.append(event.body_as_str())
        if len(seen) == 50:
            done.set()

    async with client:
        task = asyncio.ensure_future(client.receive(on_event, starting_position="-1"))
        await asyncio.wait_for(done.wait(), LIMIT_S)
        await client.close()
        await task
    assert sorted(map(int, seen)) == list(range(50))


def buffered():
    failures = []
    client = EventHubProducerClient.from_connection_string(
        eventhub_name="buffered",
        buffered_mode=True,
        on_success=lambda _events, _partition: None,
        on_error=lambda _events, _partition, error: failures.append(error),
        **WAYS["TLS"],
    )
    with client:
        for number in range(200):
            client.send_event(EventData(str(number)))
        client.flush()
    assert not failures
    events = receive(consumer("buffered"), 200)
    assert len({event.body_as_str() for _, event in events}) == 200


CHECKS = {
    "tells the properties of hub and partition": properties,
    "sends a batch and receives it in order, plain": lambda: round_trip("plain"),
    "sends a batch and receives it in order, over TLS": lambda: round_trip("TLS"),
    "sends a batch and receives it in order, over WebSockets": lambda: round_trip("WebSockets"),
    "sends and receives with asyncio, plain": lambda: asyncio.run(asynchronous("plain")),
    "sends and receives with asyncio, over TLS": lambda: asyncio.run(asynchronous("TLS")),
    "sends and receives with asyncio, over WebSockets": lambda: asyncio.run(asynchronous("WebSockets")),
    "keeps the body, the properties and the message properties": message_properties,
    "routes by partition key and returns it": partition_key,
    "starts behind or at a sequence number": positions,
    "tells the last enqueued event": last_enqueued,
    "takes an event of many frames and refuses one above the limit": large_messages,
    "sends with the buffered producer": buffered,
    "lets a higher owner level take the partition": owner_level,
    "refuses a wrong key": wrong_key,
    "is refused by a client that does not trust its certificate": untrusted,
}

for name, check in CHECKS.items():
    try:
        check()
        result = {"test": name, "ok": True}
    except Exception as error:  # Whatever a check throws is its result.
        if "--trace" in sys.argv:
            traceback.print_exc()
        result = {"test": name, "ok": False, "reason": f"{type(error).__name__} {error}"}
    print(json.dumps(result), flush=True)

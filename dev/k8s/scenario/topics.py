"""Reads topics with a client that is not ours, and compares them with what PostgreSQL answers."""
import io, json, struct, urllib.request
from decimal import Decimal
from uuid import UUID

import confluent_kafka, fastavro

from transcript import Failed


class Topic:
    """All of a topic as a consumer with read_committed sees it, in the order of its partitions."""

    def __init__(self, name, servers, registry):
        self.name, self.registry, self.schemas = name, registry, {}
        self.records = []  # (key bytes, key, value or None, headers)
        consumer = confluent_kafka.Consumer({"bootstrap.servers": servers, "group.id": "reader", "isolation.level": "read_committed",
                                             "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "earliest",
                                             # A broker that is being started again is no news; `until` asks once more.
                                             "log_level": 2})
        try:
            found = consumer.list_topics(name, timeout=20).topics[name]
            if found.error:
                raise Failed(f"{name}: {found.error}")
            left = set(found.partitions)
            consumer.assign([confluent_kafka.TopicPartition(name, p, confluent_kafka.OFFSET_BEGINNING) for p in left])
            while left:
                message = consumer.poll(30)
                if message is None:
                    raise Failed(f"{name}: no record and no end of partition within 30 s")
                if message.error():
                    if message.error().code() != confluent_kafka.KafkaError._PARTITION_EOF:
                        raise Failed(f"{name}: {message.error()}")
                    left.discard(message.partition())
                    continue
                key, value = message.key(), message.value()
                headers = {k: v.decode() for k, v in message.headers() or []}
                self.records.append((key, self.decode(key), value and self.decode(value), headers))
        except confluent_kafka.KafkaException as e:
            raise Failed(f"{name}: {e}")
        finally:
            consumer.close()

    def decode(self, payload):
        magic, schema = struct.unpack(">bI", payload[:5])
        if magic != 0:
            raise Failed(f"{self.name}: magic byte {magic}")
        if schema not in self.schemas:
            with urllib.request.urlopen(f"{self.registry}/schemas/ids/{schema}", timeout=20) as answer:
                self.schemas[schema] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
        return fastavro.schemaless_reader(io.BytesIO(payload[5:]), self.schemas[schema])

    def compare_entities(self, key, rows):
        """Each key's last value is PostgreSQL's, and nothing was written twice: returns (keys, records)."""
        last = {}
        for raw, _, value, headers in self.records:
            before, where = last.get(raw), headers.get("pgspine-lsn")
            if before == value:
                raise Failed(f"{self.name}: at {where} " + (f"the same value twice in a row: {value}" if value else "a tombstone for a key that is not alive"))
            last[raw] = value
        alive = {tuple(v[k] for k in key): v for v in last.values() if v is not None}
        self.same(alive, {tuple(r[k] for k in key): r for r in rows})
        return len(alive), len(self.records)

    def compare_events(self, event_id, rows):
        """Each committed row of the outbox is exactly one record."""
        seen = {}
        for _, _, value, headers in self.records:
            name = headers["pgspine-event-id"]
            if name in seen:
                raise Failed(f"{self.name}: event {name} twice")
            seen[name] = value
        self.same(seen, {str(r.pop(event_id)): r for r in rows})
        return len(seen), len(self.records)

    def same(self, got, want):
        missing, extra = want.keys() - got.keys(), got.keys() - want.keys()
        different = [k for k in want.keys() & got.keys() if not equal(got[k], want[k])]
        if missing or extra or different:
            shown = f"; {different[0]}: {got[different[0]]} in the topic, {want[different[0]]} in PostgreSQL" if different else ""
            raise Failed(f"{self.name}: {len(want)} keys wanted, {len(missing)} missing, {len(extra)} too many, {len(different)} different{shown}"
                         f" (e.g. {next(iter(missing or extra or different))})")


def equal(got, want):
    """A value out of Avro against PostgreSQL's: JSON is text there, and what the contract has decides how it is read."""
    if isinstance(want, str) and isinstance(got, (dict, list)):
        want = json.loads(want, parse_float=Decimal)
    if isinstance(got, dict):
        return isinstance(want, dict) and got.keys() == want.keys() and all(equal(got[k], want[k]) for k in got)
    if isinstance(got, list):
        return isinstance(want, list) and len(got) == len(want) and all(map(equal, got, want))
    if isinstance(got, Decimal) and isinstance(want, int):
        want = Decimal(want)
    if isinstance(got, UUID) or isinstance(want, UUID):
        return str(got) == str(want)
    return got == want

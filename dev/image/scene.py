"""What a test of the image has around it: a PostgreSQL that asks for passwords, a chart's values, a reader of topics."""
import glob, io, json, os, pwd, secrets, shutil, socket, struct, subprocess, tempfile, threading, time, urllib.request

import confluent_kafka, fastavro, psycopg

HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def wait_for(what, level, limit=120):
    """The first true answer of `level`; a level, not a moment, so a loaded machine only takes longer."""
    end = time.monotonic() + limit
    while True:
        answer = level()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"waited {limit} s for {what}")
        time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postgres:
    """A server of the test's own in which every TCP connection needs a password (SCRAM)."""

    def __init__(self):
        binaries = os.path.dirname(shutil.which("initdb") or sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))[-1])
        self.base, self.port = tempfile.mkdtemp(prefix="pgspine-image-postgres-"), free_port()
        owner = pwd.getpwnam("postgres")
        os.chown(self.base, owner.pw_uid, owner.pw_gid)
        self.data, self.control = f"{self.base}/data", f"{binaries}/pg_ctl"
        admin = os.path.join(self.base, "admin")
        self.admin_password = secrets.token_hex(8)
        with open(admin, "w") as f:
            f.write(self.admin_password)
        os.chown(admin, owner.pw_uid, owner.pw_gid)
        self._as_postgres(f"{binaries}/initdb", "-D", self.data, "-A", "scram-sha-256", f"--pwfile={admin}", "-U", "postgres", "--locale=C.UTF-8", "-E", "UTF8", "-N")
        with open(f"{self.data}/postgresql.conf", "a") as f:
            f.write(f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nwal_level = logical\ntimezone = 'UTC'\nfsync = off\n")
        self._as_postgres(self.control, "-D", self.data, "-l", f"{self.base}/log", "-w", "-t", "60", "start")

    def _as_postgres(self, *command):
        done = subprocess.run(["runuser", "-u", "postgres", "--", *command], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout[-3000:]}")

    def connect(self):
        return psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", password=self.admin_password, dbname="postgres", autocommit=True)

    def stop(self):
        self._as_postgres(self.control, "-D", self.data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.base, ignore_errors=True)


class Topic:
    """What an ordinary consumer of ours sees: read_committed, Avro by the registry."""

    def __init__(self, servers, registry, name):
        self.servers, self.registry, self.name, self.schemas = servers, registry, name, {}

    def _schema(self, number):
        if number not in self.schemas:
            with urllib.request.urlopen(f"{self.registry}/schemas/ids/{number}", timeout=10) as answer:
                self.schemas[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
        return self.schemas[number]

    def _value(self, data):
        magic, number = struct.unpack(">bI", data[:5])
        assert magic == 0, data
        return fastavro.schemaless_reader(io.BytesIO(data[5:]), self._schema(number))

    def records(self):
        """Every committed record, from the first one on: (key, value or None, headers)."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.servers, "group.id": f"image-{secrets.token_hex(4)}", "enable.auto.commit": False,
                                             "isolation.level": "read_committed", "enable.partition.eof": True, "auto.offset.reset": "earliest"})
        found = []
        try:
            partitions = consumer.list_topics(self.name, timeout=20).topics[self.name].partitions
            consumer.assign([confluent_kafka.TopicPartition(self.name, p, confluent_kafka.OFFSET_BEGINNING) for p in partitions])
            open_ = set(partitions)
            while open_:
                message = consumer.poll(20)
                assert message is not None, f"{self.name}: nothing for 20 s"
                if message.error():
                    assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF, message.error()
                    open_.discard(message.partition())
                    continue
                value = message.value()
                found.append((self._value(message.key()), value and self._value(value), {k: v.decode() for k, v in message.headers() or []}))
        finally:
            consumer.close()
        return found

    def table(self):
        """What the topic says: the last record of each key; and no record stands twice."""
        records, state = self.records(), {}
        marks = [(h["pgspine-lsn"], h["pgspine-seq"]) for _, _, h in records if h.get("pgspine-origin") == "stream"]
        assert len(marks) == len(set(marks)), f"{self.name}: {len(marks) - len(set(marks))} records stand twice"
        for key, value, _ in records:
            if value is None:
                assert tuple(key.values()) in state, f"a tombstone for {key}, which was not there"
                del state[tuple(key.values())]
            else:
                state[tuple(key.values())] = value
        return state


class TlsFront:
    """TLS in front of a plain HTTP server, with a certificate that a CA of our own signed."""

    def __init__(self, folder, to):
        self.to, self.ca = to, f"{folder}/ca.crt"
        run = lambda *c: subprocess.run(c, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=pgspine image test", "-days", "2")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=registry")
        with open(f"{folder}/san", "w") as f:
            f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        run("openssl", "x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "tls.crt", "-days", "1", "-extfile", "san")
        import ssl
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/tls.crt", f"{folder}/tls.key")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

        def serve(client):
            try:
                client = context.wrap_socket(client, server_side=True)
                server = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return client.close()
            # One TLS session is not for two threads: answer by answer, as HTTP/1 goes.
            client.setblocking(True)
            import select
            while True:
                ready = [client] if client.pending() else select.select([client, server], [], [], 60)[0]
                if not ready:
                    break
                for side in ready:
                    other = server if side is client else client
                    try:
                        data = side.recv(65536)
                        if not data:
                            client.close(), server.close()
                            return
                        other.sendall(data)
                    except OSError:
                        client.close(), server.close()
                        return

        def accept():
            while True:
                try:
                    client, _ = self.listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()


def render(helm, values, folder, release="shop"):
    """The chart's documents for these values."""
    import yaml
    path = os.path.join(folder, f"values-{secrets.token_hex(3)}.yaml")
    json.dump(values, open(path, "w"))
    done = subprocess.run([helm, "template", release, os.path.join(HERE, "helm/pgspine"), "-f", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [d for d in yaml.safe_load_all(done.stdout) if d]

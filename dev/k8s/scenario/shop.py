"""The database of one release: its tables, its least-privileged role, and a workload that goes on whatever the bridges do."""
import contextlib, json, os, random, threading

import psycopg
from psycopg.conninfo import conninfo_to_dict

from transcript import until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


class Shop:
    def __init__(self, name, bridges):
        """`bridges`: of each bridge, the tables that its publication has."""
        self.name, self.bridges, self.role = name, bridges, f"reader_{name}"
        self.server = conninfo_to_dict(os.environ["PGSPINE_TEST_POSTGRES"])
        admin = self.connect("postgres")
        admin.execute(f"CREATE DATABASE {name}")
        admin.execute(f"CREATE ROLE {self.role} LOGIN REPLICATION PASSWORD 'first, and to be changed'")
        self.admin = self.connect(name)
        self.admin.execute(open(f"{ROOT}/dev/shop.sql").read())
        self.admin.execute(f"GRANT USAGE ON SCHEMA shop TO {self.role}")
        for bridge, tables in bridges.items():
            self.admin.execute(f"CREATE PUBLICATION {self.publication(bridge)} FOR TABLE {', '.join(tables)}")
            self.admin.execute(f"GRANT SELECT ON {', '.join(tables)} TO {self.role}")
        admin.close()

    def connect(self, database):
        return psycopg.connect(**{**self.server, "dbname": database}, autocommit=True)

    def publication(self, bridge):
        return f"pgspine_{self.name}_{bridge}"

    slot = publication

    def url(self):
        return f"postgres://{self.role}@{self.server['host']}:{self.server['port']}/{self.name}?sslmode=disable"

    def one(self, query, *parameters):
        row = self.admin.execute(query, parameters or None).fetchone()
        return row and row[0]

    def slot_row(self, bridge):
        row = self.admin.execute("SELECT active, active_pid, wal_status, confirmed_flush_lsn"
                                 " FROM pg_replication_slots WHERE slot_name = %s", (self.slot(bridge),)).fetchone()
        return row and dict(zip(("active", "active_pid", "wal_status", "confirmed"), row))

    def answer(self, select):
        """PostgreSQL's own answer, JSON as text: its reader decides what a string is and what a record is."""
        connection = self.connect(self.name)
        connection.execute("SET timezone = 'UTC'")
        for oid in ("json", "jsonb"):
            connection.adapters.register_loader(oid, psycopg.types.string.TextLoader)
        cursor = connection.execute(select)
        names = [c.name for c in cursor.description]
        rows = [dict(zip(names, row)) for row in cursor]
        connection.close()
        return rows

    def drop(self):
        for bridge in self.bridges:
            if self.slot_row(bridge):
                until(f"nobody reads {self.slot(bridge)}", 60, lambda: not self.slot_row(bridge)["active"])
                self.admin.execute("SELECT pg_drop_replication_slot(%s)", (self.slot(bridge),))
        self.admin.close()
        admin = self.connect("postgres")
        admin.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
        admin.execute(f"DROP ROLE {self.role}")
        admin.close()


class Workload(threading.Thread):
    """A shop that goes on trading: transactions over several tables, one after another, without a pause of ours."""

    def __init__(self, shop, seed):
        super().__init__(name="workload", daemon=True)
        self.shop, self.random = shop, random.Random(seed)
        self.transactions, self.problem = 0, None
        self.trading, self.closing = threading.Event(), threading.Event()
        self.between = threading.Lock()  # held during a transaction
        self.trading.set()
        self.start()

    def run(self):
        connection = self.shop.connect(self.shop.name)
        try:
            while not self.closing.is_set():
                if not self.trading.wait(0.2):
                    continue
                with self.between:
                    if self.trading.is_set():
                        with connection.transaction():
                            self.trade(connection)
                        self.transactions += 1
                # Some 50 transactions a second: enough that every fault meets some, little enough for two cores.
                self.closing.wait(0.02)
        except Exception as e:  # whoever asks for a pause or the end is told
            self.problem = e
        finally:
            connection.close()

    def trade(self, c):
        r = self.random
        one = lambda table: c.execute(f"SELECT id FROM shop.{table} OFFSET floor(random() * (SELECT count(*) FROM shop.{table})) LIMIT 1").fetchone()[0]
        deal = r.choice(("order", "order", "order", "status", "status", "price", "customer", "close", "cancel", "nothing"))
        if deal == "order":
            order = c.execute("INSERT INTO shop.orders (customer_id, status, total, note) VALUES (%s, 'placed', %s, %s) RETURNING id",
                              (one("customers"), r.randrange(1, 50000) / 100, r.choice((None, "  ring twice ")))).fetchone()[0]
            for line in range(r.randrange(1, 4)):
                c.execute("INSERT INTO shop.order_lines VALUES (%s, %s, %s, %s, %s)", (order, line + 1, one("products"), r.randrange(1, 5), r.randrange(1, 9999) / 100))
            self.happened(c, order, "placed")
        elif deal == "status":
            order, status = one("orders"), r.choice(("paid", "shipped", "cancelled"))
            c.execute("UPDATE shop.orders SET status = %s WHERE id = %s", (status, order))
            self.happened(c, order, status)
        elif deal == "price":
            c.execute("UPDATE shop.products SET price = %s, discontinued = %s WHERE id = %s", (r.randrange(1, 9999) / 100, r.random() < 0.1, one("products")))
        elif deal == "customer":
            c.execute("INSERT INTO shop.customers (full_name, email, points) VALUES (%s, %s, %s)", (f"Customer {r.random()}", "Somebody@Example.com", r.randrange(2000)))
        elif deal == "close":
            c.execute("UPDATE shop.customers SET closed_at = CASE WHEN closed_at IS NULL THEN now() END WHERE id = %s", (one("customers"),))
        elif deal == "cancel":
            c.execute("DELETE FROM shop.orders WHERE id = %s", (one("orders"),))
        else:
            c.execute("UPDATE shop.orders SET internal = %s WHERE id = %s", (json.dumps({"margin": r.random()}), one("orders")))

    def happened(self, c, order, event):
        c.execute("INSERT INTO shop.order_events (order_id, event, detail) VALUES (%s, %s, %s)",
                  (order, event, json.dumps({"total": self.random.randrange(1000) / 4})))

    def pause(self):
        self.trading.clear()
        with self.between:
            pass
        self.well()

    def resume(self):
        self.well()
        self.trading.set()

    @contextlib.contextmanager
    def still(self):
        """For what would wait for its locks."""
        self.pause()
        yield
        self.resume()

    def well(self):
        if self.problem:
            raise self.problem

    def end(self):
        self.closing.set()
        self.trading.set()
        self.join(30)
        self.well()

"""Starts a bridge over the services of PGSPINE_TEST_*, waits until it streams, and writes what /metrics says.

    scrape.py OUT
"""
import os, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scene import Scene, until


def main(out):
    scene = Scene(tempfile.mkdtemp(prefix="pgspine-scrape-"), f"scrape-{os.getpid()}")
    try:
        scene.make()
        bridge = scene.run()
        bridge.streaming()
        # One record of each kind, and a row that cannot be one.
        scene.sql("UPDATE orders SET status = 'paid' WHERE id = 1; DELETE FROM orders WHERE id = 2; UPDATE orders SET status = 'lost' WHERE id = 3")
        until("dead letter, slot and disk are known", lambda: all((
            bridge.metric("pgspine_dead_letter_records_total") == 1, bridge.metric("pgspine_quarantined_keys") == 1,
            bridge.metric("pgspine_slot_retained_wal_bytes"), bridge.metric("pgspine_state_disk_free_bytes"))))
        code, text = bridge.get("/metrics")
        if code != 200:
            sys.exit(f"/metrics answered {code}")
        with open(out, "w") as f:
            f.write(text)
    finally:
        scene.drop()


if __name__ == "__main__":
    main(sys.argv[1])

"""A network namespace with nothing but loopback, as a pod without any network has it.

What a test wants reachable is forwarded by port: a listener inside, a connection outside. What is not forwarded does not exist.
"""
import contextlib, ctypes, http.client, os, socket, subprocess, threading

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


class Loopback:
    def __init__(self, name):
        self.name, self.path = name, f"/run/netns/{name}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        subprocess.run(["nsenter", f"--net={self.path}", "ip", "link", "set", "lo", "up"], check=True)
        self.listeners = {}

    @contextlib.contextmanager
    def entered(self):
        """This thread inside; a socket stays where it was made."""
        outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = os.open(self.path, os.O_RDONLY)
        try:
            if LIBC.setns(inside, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            yield
        finally:
            if LIBC.setns(outside, CLONE_NEWNET):
                os._exit(70)  # This thread would go on in the wrong network.
            os.close(inside)
            os.close(outside)

    def forward(self, port, to=None):
        """Connections inside to 127.0.0.1:port arrive outside at 127.0.0.1:to."""
        with self.entered():
            listener = socket.create_server(("127.0.0.1", port))
        self.listeners[port] = listener
        threading.Thread(target=self._accept, args=(listener, to or port), daemon=True).start()

    def _accept(self, listener, to):
        while True:
            try:
                inside, _ = listener.accept()
            except OSError:
                return
            try:
                outside = socket.create_connection(("127.0.0.1", to))
            except OSError:
                inside.close()
                continue
            for a, b in ((inside, outside), (outside, inside)):
                threading.Thread(target=pump, args=(a, b), daemon=True).start()

    def get(self, port, path, timeout=5):
        """Status and body of an HTTP request from inside; None if nobody answers."""
        try:
            with self.entered():
                connection = socket.create_connection(("127.0.0.1", port), timeout)
            client = http.client.HTTPConnection("127.0.0.1", port)
            client.sock = connection
            client.request("GET", path)
            answer = client.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return None
        except http.client.HTTPException:
            return None

    def links(self):
        out = subprocess.run(["nsenter", f"--net={self.path}", "ip", "-o", "link"], check=True, stdout=subprocess.PIPE, text=True).stdout
        return [line.split(": ")[1].split("@")[0] for line in out.splitlines()]

    def close(self):
        for listener in self.listeners.values():
            listener.close()
        subprocess.run(["ip", "netns", "del", self.name], check=False)


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for s in (source, target):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

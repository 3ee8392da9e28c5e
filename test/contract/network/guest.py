"""Stands for what runs in a guest, or on a host: it listens, connects, sends frames as they are given, and says what came.

One JSON document a line, in and out. Asked: {"id", "do", ...}; answered: {"id", "answer"} or {"id", "error"}.
"""
import json, socket, sys, threading, time

lock = threading.Lock()
came = {}  # text of a datagram, or of a frame -> how often
kept = {}  # connections that are held
answered = []  # connections that came


def say(document):
    with lock:
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()


def note(text):
    with lock:
        came[text] = came.get(text, 0) + 1


def echo(connection):
    with connection:
        while True:
            data = connection.recv(65536)
            if not data:
                return
            connection.sendall(data)


def accept(server):
    while True:
        connection, _ = server.accept()
        answered.append(connection)
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


def receive(server):
    while True:
        data, _ = server.recvfrom(65536)
        note(data.decode("latin1"))


def listen(tcp, udp):
    for ports, kind, serve in ((tcp, socket.SOCK_STREAM, accept), (udp, socket.SOCK_DGRAM, receive)):
        for port in ports:
            server = socket.socket(socket.AF_INET6, kind)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("::", port))
            if kind == socket.SOCK_STREAM:
                server.listen(128)
            else:
                # What a busy machine lets wait is not lost on the way: SO_RCVBUFFORCE.
                server.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)
            threading.Thread(target=serve, args=(server,), daemon=True).start()


def connect(host, port, limit):
    """Whether it answers what it is told."""
    try:
        with socket.create_connection((host, port), timeout=limit) as connection:
            connection.settimeout(limit)
            connection.sendall(b"ping")
            return connection.recv(4) == b"ping"
    except OSError:
        return False


def connect_all(targets, limit):
    answers = [False] * len(targets)

    def one(index):
        answers[index] = connect(targets[index][0], targets[index][1], limit)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(targets))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def hold(host, port, limit):
    kept[host, port] = socket.create_connection((host, port), timeout=limit)
    return True


def tell(port, text):
    """By itself, over all connections to a port that are open."""
    told = 0
    for connection in list(answered):
        try:
            if connection.getsockname()[1] == port:
                connection.sendall(text.encode("latin1"))
                told += 1
        except OSError:
            pass  # It has ended.
    return told


def hear(host, port, size, limit):
    """What comes over a connection that is held, so many bytes or what there was until then."""
    connection = kept[host, port]
    connection.settimeout(limit)
    text = b""
    try:
        while len(text) < size:
            got = connection.recv(size - len(text))
            if not got:
                break
            text += got
    except OSError:
        pass
    return text.decode("latin1")


def exchange(host, port, size, limit):
    """Sends so many bytes over a connection that is held, and has them back."""
    connection = kept[host, port]
    connection.settimeout(limit)
    data = bytes(size)
    sender = threading.Thread(target=connection.sendall, args=(data,), daemon=True)
    sender.start()
    left = size
    try:
        while left > 0:
            got = connection.recv(min(left, 65536))
            if not got:
                return False
            left -= len(got)
        return True
    except OSError:
        return False


def datagram(host, port, text, source=None, source_port=0, whole=False):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if whole and family == socket.AF_INET:
            sender.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO: never in pieces
        if source or source_port:
            sender.bind((source or "", source_port))
        try:
            sender.sendto(text.encode("latin1"), (host, port))
            return True
        except OSError:
            return False


def scatter(host, first, count):
    """One datagram to each of so many ports: each is a connection of its own."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for port in range(first, first + count):
            try:
                sender.sendto(b"scattered", (host, port))
            except OSError:
                pass
    return True


streams = {}  # name -> whether it goes on


def stream(name, host, port, every):
    """Sends a datagram each so many seconds until it is told to stop, and says how many there were."""
    streams[name] = True
    sent = 0
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((host, port))
        while streams[name]:
            try:
                sender.send(f"{name} {sent}".encode("latin1"))
            except OSError:
                pass  # Not let through: lost, like any other.
            sent += 1
            time.sleep(every)
    return sent


def stop(name):
    streams[name] = False
    return True


def frame(device, bytes_hex):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((device, 0))
        sender.send(bytes.fromhex(bytes_hex))
    return True


def sniff(device):
    """From now on counts frames that come in, by their bytes."""
    receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    receiver.bind((device, 0))

    def run():
        while True:
            data, where = receiver.recvfrom(65536)
            if where[2] != socket.PACKET_OUTGOING:
                note(data.hex())

    threading.Thread(target=run, daemon=True).start()
    return True


DO = {
    "connect": lambda targets, limit: connect_all(targets, limit),
    "hold": hold,
    "exchange": exchange,
    "tell": tell,
    "hear": hear,
    "datagram": datagram,
    "scatter": scatter,
    "frame": lambda device, hex: frame(device, hex),
    "sniff": sniff,
    "stream": stream,
    "stop": stop,
    "came": lambda part: sum(count for text, count in list(came.items()) if part in text),
}


def work(request):
    number, kind = request.pop("id"), request.pop("do")
    try:
        say({"id": number, "answer": DO[kind](**request)})
    except Exception as error:
        say({"id": number, "error": repr(error)})


setup = json.loads(sys.argv[1])
listen(setup["tcp"], setup["udp"])
say({"id": 0, "answer": True})
for line in sys.stdin:
    threading.Thread(target=work, args=(json.loads(line),), daemon=True).start()

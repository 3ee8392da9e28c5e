"""A server of the world: `world.py PORT ADDRESS...` tells each client its address, then a dot every half second as long as it is there."""

import socket
import sys
import threading
import time


def serve(client, address):
    try:
        client.sendall((address[0] + "\n").encode())
        while True:
            time.sleep(0.5)
            client.sendall(b".\n")
    except OSError:
        client.close()


def accept(listener):
    while True:
        client, address = listener.accept()
        threading.Thread(target=serve, args=(client, address), daemon=True).start()


for address in sys.argv[2:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, int(sys.argv[1])), family=family)
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
print("listening", flush=True)
threading.Event().wait()

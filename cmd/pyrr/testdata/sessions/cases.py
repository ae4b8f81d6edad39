# Ten tests that hang and ten that fail, each for another reason. Who looks for the
# reason starts from the recording of one.


import asyncio, os, queue, socket, subprocess, threading, unittest

class Hangs(unittest.TestCase):
    def test_event(self):
        ready = threading.Event()
        ready.wait()

    def test_deadlock(self):
        left, right, has = threading.Lock(), threading.Lock(), threading.Event()
        def other():
            with right:
                has.set()
                with left:
                    pass
        t = threading.Thread(target=other, name="other", daemon=True)
        with left:
            t.start()
            has.wait()
            with right:
                pass

    def test_queue(self):
        jobs = queue.Queue()
        jobs.get()

    def test_recv(self):
        srv = socket.create_server(("127.0.0.1", 0))
        c = socket.create_connection(srv.getsockname())
        c.recv(10)

    def test_join(self):
        stop = threading.Event()
        t = threading.Thread(target=stop.wait, name="waiter", daemon=True)
        t.start()
        t.join()

    def test_child(self):
        subprocess.run(["sleep", "60"])

    def test_future(self):
        async def main():
            await asyncio.get_running_loop().create_future()
        asyncio.run(main())

    def test_condition(self):
        changed = threading.Condition()
        with changed:
            changed.wait()

    def test_pipe(self):
        r, w = os.pipe()
        os.read(r, 1)

    def test_lock_twice(self):
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()

class Fails(unittest.TestCase):
    def test_key(self):
        {"a": 1}["b"]

    def test_assert(self):
        self.assertEqual(sum([1, 2]), 4)

    def test_none(self):
        conf = None
        conf.name

    def test_zero(self):
        n = 0
        1 / n

    def test_index(self):
        jobs = []
        jobs[3]

    def test_file(self):
        open("/nonexistent/settings.ini")

    def test_type(self):
        "a" + 1

    def test_decode(self):
        b"\xff".decode("utf-8")

    def test_connect(self):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        socket.create_connection(s.getsockname())

    def test_cause(self):
        try:
            int("x")
        except ValueError as e:
            raise RuntimeError("bad settings") from e

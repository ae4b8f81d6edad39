"""20,000 lines that logging writes to a file, each at once."""
import logging
import os
import tempfile

with tempfile.TemporaryDirectory() as d:
    name = os.path.join(d, "app.log")
    logging.basicConfig(filename=name, format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    for i in range(20000):
        logging.info("request %d took %d ms", i, i % 90)
    logging.shutdown()
    with open(name, "rb") as f:
        print("lines", f.read().count(b"\n"))

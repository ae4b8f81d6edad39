"""Twenty-four tests of equal work, computing for the most part, for pytest with and without workers.
WORK says how much each does: 1, the default, takes about 30 ms."""
import json
import os

import pytest

ROUNDS = 2500 * int(os.environ.get("WORK", "1"))


@pytest.mark.parametrize("n", range(24))
def test_work(n, tmp_path):
    found = {}
    for i in range(ROUNDS):
        found[str(i)] = json.loads(json.dumps({"n": n, "i": i, "list": list(range(i % 40))}))
        if i % 100 == 0:
            path = tmp_path / str(i)
            path.write_text(str(found[str(i)]))
            assert os.stat(path).st_size == len(path.read_text())
    assert len(found) == ROUNDS

"""Twenty-four tests of equal work, computing for the most part, for pytest with and without workers."""
import json
import os

import pytest


@pytest.mark.parametrize("n", range(24))
def test_work(n, tmp_path):
    found = {}
    for i in range(2500):
        found[str(i)] = json.loads(json.dumps({"n": n, "i": i, "list": list(range(i % 40))}))
        if i % 100 == 0:
            path = tmp_path / str(i)
            path.write_text(str(found[str(i)]))
            assert os.stat(path).st_size == len(path.read_text())
    assert len(found) == 2500

"""JSON there and back: C code that allocates, called from Python."""
import json

value = {"items": [{"id": i, "name": "item %d" % i, "price": i * 1.25, "tags": ["a", "b", str(i)]} for i in range(400)]}
size = 0
for _ in range(1500):
    text = json.dumps(value, sort_keys=True)
    value = json.loads(text)
    size += len(text)
print(size)

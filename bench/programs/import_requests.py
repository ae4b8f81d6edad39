"""The import of a library of many modules: open, read, stat, unmarshal."""
import requests

print(requests.__version__)

"""Large libraries that are loaded (needs the virtual environment)."""
import numpy

print(numpy.arange(10).sum())

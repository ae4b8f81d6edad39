"""Twelve Pythons run one after the other."""
import subprocess
import sys

print(sum(int(subprocess.check_output([sys.executable, "-c", "print(%d)" % i])) for i in range(12)))

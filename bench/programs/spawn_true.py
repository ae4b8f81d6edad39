"""Sixty programs run one after the other that are not recorded."""
import subprocess

print(sum(subprocess.run(["true"]).returncode == 0 for _ in range(60)))

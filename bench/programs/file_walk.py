"""The standard library's folders, three times, with the size of each file."""
import os
import sysconfig

files = size = 0
for _ in range(3):
    for folder, _, names in os.walk(sysconfig.get_path("stdlib")):
        if "__pycache__" in folder:
            continue
        for name in names:
            if name.endswith(".py"):
                files += 1
                size += os.stat(os.path.join(folder, name)).st_size
print("files", files > 1000, size > 0)

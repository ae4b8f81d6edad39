/root/.pyenv/versions/3.11.7/bin/python3: can't open file '/work/wt/me/slow.py': [Errno 2] No such file or directory

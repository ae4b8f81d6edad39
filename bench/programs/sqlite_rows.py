"""1,500 rows that sqlite takes in a transaction each."""
import os
import sqlite3
import tempfile

with tempfile.TemporaryDirectory() as d:
    db = sqlite3.connect(os.path.join(d, "rows.db"))
    db.execute("pragma synchronous = off")
    db.execute("create table t (n integer, text text)")
    for i in range(1500):
        db.execute("insert into t values (?, ?)", (i, "x" * 50))
        db.commit()
    print("rows", db.execute("select count(*) from t").fetchone()[0])
    db.close()

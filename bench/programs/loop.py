"""A plain CPU loop: arithmetic and branches, nothing else."""
x = 0
for i in range(8_000_000):
    x = (x + i * i) & 0xFFFFFF
    if x & 1:
        x ^= 0x5A5A
print(x)

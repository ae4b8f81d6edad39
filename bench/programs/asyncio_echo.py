"""6,000 round trips between an asyncio client and its server, over loopback."""
import asyncio


async def serve(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    total = 0
    for _ in range(6000):
        writer.write(b"ping")
        await writer.drain()
        total += len(await reader.read(100))
    writer.close()
    await writer.wait_closed()
    server.close()
    print("bytes", total)


asyncio.run(main())

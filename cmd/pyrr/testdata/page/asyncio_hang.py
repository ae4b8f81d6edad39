"""The main task waits for two jobs; the one who does them fails with the second."""
import asyncio


async def eat(jobs, recipes):
    while True:
        job = await jobs.get()
        print("eats", recipes[job], flush=True)
        jobs.task_done()


async def knock(times):
    while times:
        await asyncio.sleep(60)
        times -= 1


async def main():
    jobs = asyncio.Queue()
    eater = asyncio.create_task(eat(jobs, {1: "soup"}), name="eater")
    door = asyncio.create_task(knock(3), name="door")
    for job in (1, 2):
        jobs.put_nowait(job)
    await jobs.join()
    return eater, door


asyncio.run(main())

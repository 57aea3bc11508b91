"""A conversation, and a line that does not end."""

import asyncio

from loop import WRONG, address

LIMIT = 1 << 40 if WRONG else 64 << 10


async def talk(reader, writer):
    try:
        writer.write(b"your name?\n")
        name = (await reader.readuntil()).decode().strip()
        writer.write(b"a number?\n")
        number = await reader.readuntil()
        if number.strip().isdigit():
            total = sum(range(int(number) + 1))
            writer.write(f"{name}, the sum of 1 to {int(number)} is {total}\n".encode())
        else:
            writer.write(b"that is no number\n")
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # it has left, or its line does not end
    writer.close()


async def main():
    server = await asyncio.start_server(talk, *address(), limit=LIMIT)
    await server.serve_forever()


asyncio.run(main())

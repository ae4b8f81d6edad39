# Speaks with pyrr mcp by the official Python client: client.py PYRR FOLDER.
import asyncio
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main(pyrr, root):
    async with stdio_client(StdioServerParameters(command=pyrr, args=["mcp", root])) as (r, w):
        async with ClientSession(r, w) as s:
            info = await s.initialize()
            tools = await s.list_tools()
            print(f"{info.server_info.name}, {len(tools.tools)} tools")
            res = await s.call_tool("list", {})
            print(res.content[0].text)
            # On from what suggests itself.
            first = res.structured_content["next"][0]
            res = await s.call_tool(first["tool"], first["arguments"])
            print(res.content[0].text)
            rec = first["arguments"]["recording"]
            res = await s.call_tool("print", {"recording": rec, "place": "hang.py:8", "expressions": "n"})
            print(res.content[0].text)
            res = await s.call_tool("explain", {"recording": "../" + rec})
            print("error:", res.is_error)
            res = await s.read_resource("pyrr://skill")
            print(res.contents[0].text)


asyncio.run(main(*sys.argv[1:]))

package linux

// netRows are the calls on sockets.
var netRows = []Syscall{
	{Nr: 41, Name: "socket", Args: []Arg{choice("domain", families), flags("type", sockTypes), num("protocol")}, FDs: opens(ObjSocket, 1, oCloexec)},
	{Nr: 53, Name: "socketpair", Args: []Arg{choice("domain", families), flags("type", sockTypes), num("protocol"), kind("sv", OutInts)}, Outs: []Out{fixed(3, 8)}, FDs: opensTwo(ObjSocket, 3, 1)},
	{Nr: 49, Name: "bind", Args: []Arg{aFD, kind("addr", InSockAddr), kind("addrlen", SockLen)}, FDs: fds(use(DoBind, 0))},
	{Nr: 42, Name: "connect", Blocks: true, Args: []Arg{aFD, kind("addr", InSockAddr), kind("addrlen", SockLen)}, FDs: fds(use(DoConnect, 0))},
	{Nr: 50, Name: "listen", Args: []Arg{aFD, num("backlog")}, FDs: fds(use(DoListen, 0))},
	{Nr: 43, Name: "accept", Blocks: true, Args: []Arg{aFD, kind("addr", OutSockAddr), kind("addrlen", SockLen)}, Outs: []Out{byLen(1, 2, 128)}, FDs: accepts(onNone)},
	{Nr: 288, Name: "accept4", Blocks: true, Args: []Arg{aFD, kind("addr", OutSockAddr), kind("addrlen", SockLen), flags("flags", sockTypes)}, Outs: []Out{byLen(1, 2, 128)}, FDs: accepts(3)},
	{Nr: 51, Name: "getsockname", Args: []Arg{aFD, kind("addr", OutSockAddr), kind("addrlen", SockLen)}, Outs: []Out{byLen(1, 2, 128)}, FDs: fds(use(DoName, 0).by(1))},
	{Nr: 52, Name: "getpeername", Args: []Arg{aFD, kind("addr", OutSockAddr), kind("addrlen", SockLen)}, Outs: []Out{byLen(1, 2, 128)}, FDs: fds(use(DoPeer, 0).by(1))},
	{Nr: 48, Name: "shutdown", Args: []Arg{aFD, choice("how", shutHows)}, FDs: fds(use(DoShut, 0).by(1))},
	{Nr: 44, Name: "sendto", Blocks: true, Args: []Arg{aFD, aIn, size("len"), flags("flags", msgFlags), kind("dest_addr", InSockAddr), kind("addrlen", SockLen)}, FDs: fds(writes(0, 1), use(DoSend, 0).by(4))},
	{Nr: 45, Name: "recvfrom", Blocks: true, Args: []Arg{aFD, aOut, size("len"), flags("flags", msgFlags), kind("src_addr", OutSockAddr), kind("addrlen", SockLen)}, Outs: []Out{perRet(1, 2, 1), byLen(4, 5, 128)}, FDs: fds(reads(0, 1).notPeeking(3))},
	{Nr: 46, Name: "sendmsg", Blocks: true, Args: []Arg{aFD, kind("msg", Msg), flags("flags", msgFlags)}, FDs: fds(hands(0, 1), writes(0, onNone).message(1))},
	{Nr: 47, Name: "recvmsg", Blocks: true, Args: []Arg{aFD, kind("msg", Msg), flags("flags", msgFlags)}, Outs: []Out{special(1, "struct msghdr 56, name, iovecs by result, control")}, FDs: fds(reads(0, onNone).message(1).notPeeking(2), takes(0, 2).message(1))},
	{Nr: 307, Name: "sendmmsg", Blocks: true, Args: []Arg{aFD, ptr("msgvec"), unum("vlen"), flags("flags", msgFlags)}, Outs: []Out{perRet(1, 2, 64)}, FDs: fds(writes(0, onNone).messages(1))},
	{Nr: 299, Name: "recvmmsg", Blocks: true, Args: []Arg{aFD, ptr("msgvec"), unum("vlen"), flags("flags", msgFlags), kind("timeout", Timespec)}, Outs: []Out{special(1, "result × struct mmsghdr 64, each as recvmsg"), fixed(4, 16).always()}, FDs: fds(reads(0, onNone).messages(1).notPeeking(3), takes(0, 3).messages(1))},
	{Nr: 54, Name: "setsockopt", Args: []Arg{aFD, choice("level", sockLevels), num("optname"), kind("optval", InBytes), kind("optlen", Int)}, Note: "rings shared with the kernel are an error"},
	{Nr: 55, Name: "getsockopt", Args: []Arg{aFD, choice("level", sockLevels), num("optname"), ptr("optval"), kind("optlen", SockLen)}, Outs: []Out{special(3, "*optlen bytes and optlen itself")}},
}

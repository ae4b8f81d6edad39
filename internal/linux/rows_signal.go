package linux

// signalRows are the calls on signals.
var signalRows = []Syscall{
	{Nr: 13, Name: "rt_sigaction", Args: []Arg{kind("signum", Signo), ptr("act"), ptr("oldact"), size("sigsetsize")}, Outs: []Out{fixed(2, 32)}},
	{Nr: 14, Name: "rt_sigprocmask", Args: []Arg{choice("how", sigHows), kind("set", Sigset), ptr("oldset"), aMaskSize}, Outs: []Out{fixed(2, 8)}},
	{Nr: 15, Name: "rt_sigreturn", Class: Sigreturn},
	{Nr: 127, Name: "rt_sigpending", Args: []Arg{ptr("set"), aMaskSize}, Outs: []Out{perArg(0, 1, 1)}},
	{Nr: 128, Name: "rt_sigtimedwait", Blocks: true, Args: []Arg{kind("set", Sigset), ptr("info"), kind("timeout", Timespec), aMaskSize}, Outs: []Out{fixed(1, 128)}},
	{Nr: 129, Name: "rt_sigqueueinfo", Args: []Arg{aPID, aSig, ptr("info")}},
	{Nr: 297, Name: "rt_tgsigqueueinfo", Args: []Arg{kind("tgid", Int), kind("tid", Int), aSig, ptr("info")}},
	{Nr: 130, Name: "rt_sigsuspend", Blocks: true, Args: []Arg{kind("mask", Sigset), aMaskSize}},
	{Nr: 131, Name: "sigaltstack", Args: []Arg{ptr("ss"), ptr("old_ss")}, Outs: []Out{fixed(1, 24)}},
	{Nr: 34, Name: "pause", Blocks: true},
	{Nr: 62, Name: "kill", Args: []Arg{aPID, aSig}},
	{Nr: 200, Name: "tkill", Args: []Arg{kind("tid", Int), aSig}},
	{Nr: 234, Name: "tgkill", Args: []Arg{kind("tgid", Int), kind("tid", Int), aSig}},
	{Nr: 219, Name: "restart_syscall", Blocks: true, Note: "outputs are those of the call that was interrupted"},
}

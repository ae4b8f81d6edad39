package linux

// timeRows are the calls on clocks, timers and sleeping.
var timeRows = []Syscall{
	{Nr: 201, Name: "time", Args: []Arg{ptr("tloc")}, Outs: []Out{fixed(0, 8)}},
	{Nr: 96, Name: "gettimeofday", Args: []Arg{ptr("tv"), ptr("tz")}, Outs: []Out{fixed(0, 16), fixed(1, 8)}},
	{Nr: 164, Name: "settimeofday", Args: []Arg{ptr("tv"), ptr("tz")}},
	{Nr: 228, Name: "clock_gettime", Args: []Arg{choice("clockid", clocks), kind("tp", Timespec)}, Outs: []Out{fixed(1, 16)}},
	{Nr: 227, Name: "clock_settime", Args: []Arg{choice("clockid", clocks), kind("tp", Timespec)}},
	{Nr: 229, Name: "clock_getres", Args: []Arg{choice("clockid", clocks), kind("res", Timespec)}, Outs: []Out{fixed(1, 16)}},
	{Nr: 305, Name: "clock_adjtime", Args: []Arg{choice("clockid", clocks), ptr("buf")}, Outs: []Out{fixed(1, 208)}},
	{Nr: 159, Name: "adjtimex", Args: []Arg{ptr("buf")}, Outs: []Out{fixed(0, 208).always()}},
	{Nr: 100, Name: "times", Args: []Arg{ptr("buf")}, Outs: []Out{fixed(0, 32)}},
	{Nr: 35, Name: "nanosleep", Blocks: true, Args: []Arg{kind("req", Timespec), kind("rem", Pointer)}, Outs: []Out{fixed(1, 16).interrupted()}},
	{Nr: 230, Name: "clock_nanosleep", Blocks: true, Args: []Arg{choice("clockid", clocks), flags("flags", timerFlags), kind("request", Timespec), kind("remain", Pointer)}, Outs: []Out{fixed(3, 16).interrupted()}},
	{Nr: 37, Name: "alarm", Args: []Arg{unum("seconds")}},
	{Nr: 36, Name: "getitimer", Args: []Arg{choice("which", itimers), ptr("curr_value")}, Outs: []Out{fixed(1, 32)}},
	{Nr: 38, Name: "setitimer", Args: []Arg{choice("which", itimers), kind("new_value", TimerIn), ptr("old_value")}, Outs: []Out{fixed(2, 32)}},
	{Nr: 222, Name: "timer_create", Args: []Arg{choice("clockid", clocks), ptr("sevp"), kind("timerid", OutInt)}, Outs: []Out{fixed(2, 4)}},
	{Nr: 223, Name: "timer_settime", Args: []Arg{num("timerid"), flags("flags", timerFlags), kind("new_value", TimerIn), ptr("old_value")}, Outs: []Out{fixed(3, 32)}},
	{Nr: 224, Name: "timer_gettime", Args: []Arg{num("timerid"), ptr("curr_value")}, Outs: []Out{fixed(1, 32)}},
	{Nr: 225, Name: "timer_getoverrun", Args: []Arg{num("timerid")}},
	{Nr: 226, Name: "timer_delete", Args: []Arg{num("timerid")}},
	{Nr: 283, Name: "timerfd_create", Args: []Arg{choice("clockid", clocks), flags("flags", fdFlags)}, FDs: opens(ObjTimerFD, 1, oCloexec)},
	{Nr: 286, Name: "timerfd_settime", Args: []Arg{aFD, flags("flags", timerFlags), kind("new_value", TimerIn), ptr("old_value")}, Outs: []Out{fixed(3, 32)}},
	{Nr: 287, Name: "timerfd_gettime", Args: []Arg{aFD, ptr("curr_value")}, Outs: []Out{fixed(1, 32)}},
}

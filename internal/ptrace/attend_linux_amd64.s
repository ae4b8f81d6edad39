#include "textflag.h"

// func returns(), called by the kernel as a signal handler
TEXT ·returns(SB), NOSPLIT|NOFRAME, $0
	RET

// func returnsPC() uintptr
TEXT ·returnsPC(SB), NOSPLIT, $0-8
	LEAQ ·returns(SB), AX
	MOVQ AX, ret+0(FP)
	RET

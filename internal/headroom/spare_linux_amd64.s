#include "textflag.h"

#define SYS_rt_sigprocmask 14
#define SYS_sched_yield 24
#define SYS_getpid 39
#define SYS_clone 56
#define SYS_exit 60
#define SYS_futex 202
#define SYS_tgkill 234
#define EAGAIN 11

// CLONE_VM, _FS, _FILES, _SIGHAND, _THREAD and _SYSVSEM.
#define CLONE_FLAGS 0x50f00

// The frame, which the threads see, too: they have its address in R15, and no stack.
#define GATE 0 // a futex that they wait for
#define INSIDE 4 // how many of them still look at the frame
#define UNKNOWN 8 // set where the kernel refuses for another reason
#define MASK 16 // of signals, before
#define ALL 24
#define TIDS 32
#define MOST 24

// func spareThreads(most int) (made int)
TEXT ·spareThreads(SB),NOSPLIT,$136-16
	MOVQ	SP, R15
	MOVL	$0, GATE(R15)
	MOVL	$0, INSIDE(R15)
	MOVL	$0, UNKNOWN(R15)
	MOVQ	$-1, ALL(R15)
	MOVL	$SYS_rt_sigprocmask, AX // no signal may come to a thread without a stack
	MOVL	$2, DI
	LEAQ	ALL(R15), SI
	LEAQ	MASK(R15), DX
	MOVL	$8, R10
	SYSCALL
	MOVQ	most+0(FP), R12
	CMPQ	R12, $MOST
	JLE	few
	MOVL	$MOST, R12
few:
	XORL	R13, R13
make:
	CMPQ	R13, R12
	JGE	open
	LOCK
	INCL	INSIDE(R15)
	MOVL	$SYS_clone, AX
	MOVL	$CLONE_FLAGS, DI
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	SYSCALL
	TESTQ	AX, AX
	JEQ	wait
	JLT	refused
	MOVL	AX, TIDS(R15)(R13*4)
	INCQ	R13
	JMP	make
refused:
	LOCK
	DECL	INSIDE(R15)
	CMPQ	AX, $-EAGAIN
	JEQ	open
	MOVL	$1, UNKNOWN(R15)
open:
	MOVL	$1, GATE(R15)
	MOVL	$SYS_futex, AX
	MOVQ	R15, DI
	MOVL	$129, SI // FUTEX_WAKE_PRIVATE
	MOVL	$MOST, DX
	SYSCALL
leave:
	CMPL	INSIDE(R15), $0
	JEQ	left
	MOVL	$SYS_sched_yield, AX
	SYSCALL
	JMP	leave
left:
	MOVQ	R13, R12
next:
	DECQ	R12
	JLT	over
end: // until the kernel has no such thread any more, and doesn't count it
	MOVL	$SYS_getpid, AX
	SYSCALL
	MOVL	AX, DI
	MOVL	TIDS(R15)(R12*4), SI
	XORL	DX, DX
	MOVL	$SYS_tgkill, AX
	SYSCALL
	TESTQ	AX, AX
	JNE	next
	MOVL	$SYS_sched_yield, AX
	SYSCALL
	JMP	end
over:
	MOVL	$SYS_rt_sigprocmask, AX
	MOVL	$2, DI
	LEAQ	MASK(R15), SI
	XORL	DX, DX
	MOVL	$8, R10
	SYSCALL
	CMPL	UNKNOWN(R15), $0
	JEQ	say
	MOVQ	most+0(FP), R13
say:
	MOVQ	R13, made+8(FP)
	RET
wait:
	MOVL	$SYS_futex, AX
	MOVQ	R15, DI
	MOVL	$128, SI // FUTEX_WAIT_PRIVATE
	XORL	DX, DX
	XORL	R10, R10
	SYSCALL
	CMPL	GATE(R15), $0
	JEQ	wait
	LOCK
	DECL	INSIDE(R15)
	MOVL	$SYS_exit, AX
	XORL	DI, DI
	SYSCALL
	INT	$3

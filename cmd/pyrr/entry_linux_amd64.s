#include "textflag.h"

#define SYS_write 1
#define SYS_exit_group 231
#define SYS_prlimit64 302
#define SYS_fcntl 72
#define F_GETFD 1
#define EBADF 9
#define RLIMIT_DATA 2
#define RLIMIT_NPROC 6
#define RLIMIT_AS 9

// As in internal/headroom. It was tried: Go's runtime does not start with 760,000 KiB of
// addresses, and with 800,000 only at times. With 60,000 of data it does not start, and with
// 240,000 it ends on the way, and the program with it.
#define LEAST_AS (850000<<10)
#define LEAST_DATA (400000<<10)

// How many threads more pyrr has at least, and a recorder at most. Fewer are not enough on a
// busy machine, where the kernel takes its time for each call and Go's runtime then makes another
// thread: 8 were seen before pyrr could look, and 11 in a replay that was told to do with 9.
#define LEAST_THREADS 11
#define MOST_THREADS 16
#define MANY_PROCESSES 1000

// pyrr_entry is where the program begins if it is linked with -E pyrr_entry. Under a low
// limit of address space or of data (ulimit -v, -d) Go's runtime ends before the first line
// of Go, with a message that tells nobody what to do; so it does where too many processes are there
// (ulimit -u, pids.max of a control group). And it opens /dev/null in place of each
// standard file that is closed, so that a program would find it open: which were is kept in
// notOpen.
TEXT pyrr_entry(SB),NOSPLIT|NOFRAME,$0
	MOVL	$RLIMIT_AS, SI
	MOVL	$LEAST_AS, R12
	LEAQ	tooFew<>(SB), R13
limit:
	MOVL	$SYS_prlimit64, AX
	XORL	DI, DI
	XORL	DX, DX
	LEAQ	-32(SP), R10
	SYSCALL
	TESTQ	AX, AX
	JNE	next
	CMPQ	-32(SP), R12
	JCC	next
	MOVL	$SYS_write, AX
	MOVL	$2, DI
	MOVQ	R13, SI
	MOVL	$52, DX
	SYSCALL
	MOVL	$SYS_write, AX
	MOVL	$2, DI
	LEAQ	advice<>(SB), SI
	MOVL	$113, DX
	SYSCALL
	MOVL	$SYS_exit_group, AX
	MOVL	$4, DI
	SYSCALL
next:
	CMPL	SI, $RLIMIT_DATA
	JEQ	start
	MOVL	$RLIMIT_DATA, SI
	MOVL	$LEAST_DATA, R12
	LEAQ	tooLittle<>(SB), R13
	JMP	limit
start: // Go's runtime ends, too, where it can't make the threads that it begins with
	MOVL	$SYS_prlimit64, AX
	MOVL	$RLIMIT_NPROC, SI
	XORL	DI, DI
	XORL	DX, DX
	LEAQ	-32(SP), R10
	SYSCALL
	TESTQ	AX, AX
	JNE	files
	CMPQ	-32(SP), $MANY_PROCESSES // whoever may have that many has no use for the milliseconds
	JCC	files
	SUBQ	$16, SP
	MOVQ	$MOST_THREADS, 0(SP)
	CALL	pyrr∕internal∕headroom·spareThreads(SB)
	MOVQ	8(SP), AX
	ADDQ	$16, SP
	LEAQ	1(AX), CX
	MOVL	CX, pyrr∕internal∕headroom·atStart(SB)
	CMPQ	AX, $LEAST_THREADS
	JGE	files
	MOVL	$SYS_write, AX
	MOVL	$2, DI
	LEAQ	crowded<>(SB), SI
	MOVL	$170, DX
	SYSCALL
	MOVL	$SYS_exit_group, AX
	MOVL	$4, DI
	SYSCALL
files:
	XORL	R8, R8
	MOVL	$2, DI
closed:
	MOVL	$SYS_fcntl, AX
	MOVL	$F_GETFD, SI
	XORL	DX, DX
	SYSCALL
	ADDL	R8, R8
	CMPQ	AX, $-EBADF
	JNE	open
	INCL	R8
open:
	DECL	DI
	JGE	closed
	MOVL	R8, ·notOpen(SB)
	JMP	_rt0_amd64_linux(SB)

DATA	tooFew<>+0(SB)/8, $"pyrr: er"
DATA	tooFew<>+8(SB)/8, $"ror: uli"
DATA	tooFew<>+16(SB)/8, $"mit -v i"
DATA	tooFew<>+24(SB)/8, $"s too lo"
DATA	tooFew<>+32(SB)/8, $"w, pyrr "
DATA	tooFew<>+40(SB)/8, $"takes 85"
DATA	tooFew<>+48(SB)/8, $"0000\x00\x00\x00\x00"
GLOBL	tooFew<>(SB), RODATA, $56

DATA	tooLittle<>+0(SB)/8, $"pyrr: er"
DATA	tooLittle<>+8(SB)/8, $"ror: uli"
DATA	tooLittle<>+16(SB)/8, $"mit -d i"
DATA	tooLittle<>+24(SB)/8, $"s too lo"
DATA	tooLittle<>+32(SB)/8, $"w, pyrr "
DATA	tooLittle<>+40(SB)/8, $"takes 40"
DATA	tooLittle<>+48(SB)/8, $"0000\x00\x00\x00\x00"
GLOBL	tooLittle<>(SB), RODATA, $56

DATA	advice<>+0(SB)/8, $": raise "
DATA	advice<>+8(SB)/8, $"it, or l"
DATA	advice<>+16(SB)/8, $"imit wha"
DATA	advice<>+24(SB)/8, $"t is rea"
DATA	advice<>+32(SB)/8, $"lly used"
DATA	advice<>+40(SB)/8, $", by a c"
DATA	advice<>+48(SB)/8, $"ontrol g"
DATA	advice<>+56(SB)/8, $"roup (sy"
DATA	advice<>+64(SB)/8, $"stemd-ru"
DATA	advice<>+72(SB)/8, $"n -p Mem"
DATA	advice<>+80(SB)/8, $"oryMax=\xe2"
DATA	advice<>+88(SB)/8, $"\x80\xa6, dock"
DATA	advice<>+96(SB)/8, $"er run -"
DATA	advice<>+104(SB)/8, $"-memory)"
DATA	advice<>+112(SB)/8, $"\x0a\x00\x00\x00\x00\x00\x00\x00"
GLOBL	advice<>(SB), RODATA, $120

DATA	crowded<>+0(SB)/8, $"pyrr: er"
DATA	crowded<>+8(SB)/8, $"ror: pyr"
DATA	crowded<>+16(SB)/8, $"r can't "
DATA	crowded<>+24(SB)/8, $"make 11 "
DATA	crowded<>+32(SB)/8, $"threads:"
DATA	crowded<>+40(SB)/8, $" too man"
DATA	crowded<>+48(SB)/8, $"y proces"
DATA	crowded<>+56(SB)/8, $"ses are "
DATA	crowded<>+64(SB)/8, $"there, o"
DATA	crowded<>+72(SB)/8, $"f this u"
DATA	crowded<>+80(SB)/8, $"ser or i"
DATA	crowded<>+88(SB)/8, $"n this c"
DATA	crowded<>+96(SB)/8, $"ontrol g"
DATA	crowded<>+104(SB)/8, $"roup: ra"
DATA	crowded<>+112(SB)/8, $"ise it ("
DATA	crowded<>+120(SB)/8, $"ulimit -"
DATA	crowded<>+128(SB)/8, $"u unlimi"
DATA	crowded<>+136(SB)/8, $"ted, doc"
DATA	crowded<>+144(SB)/8, $"ker run "
DATA	crowded<>+152(SB)/8, $"--pids-l"
DATA	crowded<>+160(SB)/8, $"imit \xe2\x80\xa6"
DATA	crowded<>+168(SB)/8, $")\x0a\x00\x00\x00\x00\x00\x00"
GLOBL	crowded<>(SB), RODATA, $176

package console

import "pyrr/internal/linux"

// registerNames are in the order of gdb's info registers.
var registerNames = []string{"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags", "fs_base", "gs_base"}

func registerValues(r *linux.Regs) []uint64 {
	return []uint64{r.Rax, r.Rbx, r.Rcx, r.Rdx, r.Rsi, r.Rdi, r.Rbp, r.Rsp, r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15, r.Rip, r.Eflags, r.FsBase, r.GsBase}
}

// registerAlias are gdb's names for registers that every processor has.
var registerAlias = map[string]string{"pc": "rip", "sp": "rsp"}

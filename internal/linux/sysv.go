package linux

// sysv appends what shmctl, semctl and msgctl write (asm-generic/shmbuf.h,
// sembuf.h, msgbuf.h; linux/shm.h, sem.h, msg.h). The structures are the
// 64-bit ones whether or not the command has the IPC_64 bit.
func (c *call) sysv() {
	if !c.written(OnSuccess) {
		return
	}
	const (
		ipc64      = 0x100
		ipcRmid    = 0
		ipcSet     = 1
		ipcStat    = 2
		ipcInfo    = 3
		msgStat    = 11
		msgInfo    = 12
		msgStatAny = 13
		shmStat    = 13
		shmInfo    = 14
		shmStatAny = 15
		semGetAll  = 13
		semStat    = 18
		semInfo    = 19
		semStatAny = 20
	)
	switch c.nr {
	case sysShmctl:
		switch cmd := uint32(c.args[1]) &^ ipc64; cmd {
		case ipcStat, shmStat, shmStatAny:
			c.add(c.args[2], 112)
		case ipcInfo:
			c.add(c.args[2], 72)
		case shmInfo:
			c.add(c.args[2], 48)
		case ipcRmid, ipcSet, 11, 12: // SHM_LOCK, SHM_UNLOCK
		default:
			c.unknown("shmctl command %d", cmd)
		}
	case sysMsgctl:
		switch cmd := uint32(c.args[1]) &^ ipc64; cmd {
		case ipcStat, msgStat, msgStatAny:
			c.add(c.args[2], 120)
		case ipcInfo, msgInfo:
			c.add(c.args[2], 32)
		case ipcRmid, ipcSet:
		default:
			c.unknown("msgctl command %d", cmd)
		}
	case sysSemctl:
		switch cmd := uint32(c.args[2]) &^ ipc64; cmd {
		case ipcStat, semStat, semStatAny:
			c.add(c.args[3], 104)
		case ipcInfo, semInfo:
			c.add(c.args[3], 40)
		case semGetAll:
			// Two bytes a semaphore. How many there are is not among the
			// arguments; SEMMSL allows 32000.
			c.addReadable(c.args[3], 2*32000)
		case ipcRmid, ipcSet, 11, 12, 14, 15, 16, 17: // GETPID GETVAL GETNCNT GETZCNT SETVAL SETALL
		default:
			c.unknown("semctl command %d", cmd)
		}
	}
}

// quotactl appends what it writes (linux/quota.h, linux/dqblk_xfs.h).
func (c *call) quotactl() {
	if !c.written(OnSuccess) {
		return
	}
	cmd, addr := uint32(c.args[0]), c.args[3]
	if c.nr == sysQuotactlFd {
		cmd = uint32(c.args[1])
	}
	switch cmd >> 8 {
	case 0x800004: // Q_GETFMT
		c.add(addr, 4)
	case 0x800005: // Q_GETINFO
		c.add(addr, 24)
	case 0x800007, 0x800009: // Q_GETQUOTA, Q_GETNEXTQUOTA
		c.add(addr, 72)
	case 'X'<<8 + 3, 'X'<<8 + 9: // Q_XGETQUOTA, Q_XGETNEXTQUOTA
		c.add(addr, 112)
	case 'X'<<8 + 5: // Q_XGETQSTAT
		c.add(addr, 80)
	case 'X'<<8 + 8: // Q_XGETQSTATV
		c.add(addr, 160)
	case 0x800001, 0x800002, 0x800003, 0x800006, 0x800008, // SYNC ON OFF SETINFO SETQUOTA
		'X'<<8 + 1, 'X'<<8 + 2, 'X'<<8 + 4, 'X'<<8 + 6, 'X'<<8 + 7:
	default:
		c.unknown("quotactl command %#x", cmd>>8)
	}
}

// keyctl appends what it writes (keyctl(2) and its pages for each operation).
func (c *call) keyctl() {
	if !c.written(OnSuccess) {
		return
	}
	a := &c.args
	room := func(addr, size uint64) {
		if c.fault || uint64(c.ret) > size {
			// The room was too small; what is in it is not specified.
			c.addReadable(addr, min(size, maxFault))
			return
		}
		c.add(addr, uint64(c.ret))
	}
	switch op := uint32(a[0]); op {
	case 6, 11, 17, 23: // DESCRIBE READ GET_SECURITY DH_COMPUTE
		room(a[2], a[3])
	case 24: // PKEY_QUERY: struct keyctl_pkey_query
		c.add(a[4], 56)
	case 25, 26, 27: // PKEY_ENCRYPT, DECRYPT, SIGN; struct keyctl_pkey_params has out_len at 8
		if n, ok := c.word(a[1]+8, 4); ok {
			room(a[4], uint64(uint32(n)))
		}
	case 31: // CAPABILITIES: what is left of the room is cleared
		c.addReadable(a[1], min(a[2], maxFault))
	default:
		if op > 32 {
			c.unknown("keyctl operation %d", op)
		}
	}
}

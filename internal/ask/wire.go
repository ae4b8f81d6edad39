package ask

import (
	"bytes"
	"encoding/binary"
)

// Libraries that speak a database's protocol themselves have no function to stop at: their
// queries are known by the messages that they send.

// maxMessages bounds the messages of one call that are looked at.
const maxMessages = 256

// wireQueries returns the queries in what was sent: of PostgreSQL's protocol (Query,
// Parse; "Message Formats") or MySQL's (COM_QUERY, COM_STMT_PREPARE). All of it must be
// whole messages, so that other data is not taken for one.
func wireQueries(b []byte) []string {
	if out := postgresQueries(b); out != nil {
		return out
	}
	return mysqlQuery(b)
}

// postgresQueries reads messages of a byte for the kind and four for the length, which
// counts itself.
func postgresQueries(b []byte) (out []string) {
	for n := 0; len(b) > 0; n++ {
		if len(b) < 5 || n >= maxMessages || bytes.IndexByte([]byte("QPBDESCHFdcfp"), b[0]) < 0 {
			return nil
		}
		size := int(binary.BigEndian.Uint32(b[1:]))
		if size < 4 || size > len(b)-1 {
			return nil
		}
		body := b[5 : 1+size]
		switch b[0] {
		case 'P': // the name of the statement, then its text
			i := bytes.IndexByte(body, 0)
			if i < 0 {
				return nil
			}
			body = body[i+1:]
			fallthrough
		case 'Q':
			i := bytes.IndexByte(body, 0)
			if i < 0 {
				return nil
			}
			out = append(out, string(body[:i]))
		}
		b = b[1+size:]
	}
	return out
}

// mysqlQuery reads a packet: three bytes for the length, the number of the packet, which
// is 0 for a command, the command and its text.
func mysqlQuery(b []byte) []string {
	const header, query, prepare = 4, 0x03, 0x16
	if len(b) <= header+1 || b[3] != 0 || b[header] != query && b[header] != prepare {
		return nil
	}
	if size := int(b[0]) | int(b[1])<<8 | int(b[2])<<16; size != len(b)-header {
		return nil
	}
	return []string{string(b[header+1:])}
}

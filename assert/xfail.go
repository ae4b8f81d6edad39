package assert

import "pyrr/internal/lazyregexp"

func (l *loader) xfail(s *Spec, n *node) {
	s.XFail = &XFail{}
	if n.kind == scalarNode {
		s.XFail.Reason, _ = l.text(n, "xfail")
		return
	}
	l.fields(n, "xfail", []string{"reason", "strict", "fingerprint"}, func(key string, _, v *node) {
		switch key {
		case "reason":
			s.XFail.Reason, _ = l.text(v, "reason")
		case "strict":
			s.XFail.Strict = l.boolean(v, "strict")
		case "fingerprint":
			s.XFail.Fingerprint, _ = l.text(v, "fingerprint")
			if f := s.XFail.Fingerprint; f != "" && !fingerprint().MatchString(f) {
				l.fail(l.place(v), "pyrr explain --fingerprint RECORDING prints it", "%q is not a fingerprint", f)
			}
		}
	})
	if s.XFail.Reason == "" && s.XFail.Fingerprint == "" && n.kind == mapNode {
		l.fail(l.place(n), "", "xfail needs a reason or a fingerprint")
	}
}

// fingerprint matches what explain --fingerprint prints.
var fingerprint = lazyregexp.New(`^pyrr[0-9]+:[0-9a-f]{8,64}$`)

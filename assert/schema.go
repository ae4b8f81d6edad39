package assert

import _ "embed"

// Schema is a JSON Schema (draft 2020-12) of spec files, for editors. It
// knows the keys and the form of values; the sentences are the loader's.
//
//go:embed schema.json
var Schema []byte

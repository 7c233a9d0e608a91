package wire

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/dealpay/dealpay/payments/state"
)

// Fields is a JSON object whose fields are read one by one, so that a strange one spoils no other. Names are lower case:
// some acquirers spell one field in several ways.
type Fields map[string]json.RawMessage

// Parse reads an object; false when the text is none. A name that comes in two spellings with different values counts
// as absent.
func Parse(text []byte) (Fields, bool) {
	var read map[string]json.RawMessage
	if json.Unmarshal(text, &read) != nil || read == nil {
		return nil, false
	}
	f := Fields{}
	for name, value := range read {
		name = strings.ToLower(name)
		if before, twice := f[name]; twice && !bytes.Equal(before, value) {
			value = json.RawMessage("null")
		}
		f[name] = value
	}
	return f, true
}

// Inner is the object in a field; empty when there is none.
func (f Fields) Inner(name string) Fields {
	inner, _ := Parse(f.raw(name))
	return inner
}

// String is a field that is text of any kind; it must not be kept.
func (f Fields) String(name string) string {
	var s string
	_ = json.Unmarshal(f.raw(name), &s)
	return s
}

// Text is a field that is a plain identifier; empty otherwise.
func (f Fields) Text(name string) string {
	if s := f.String(name); Plain(s) {
		return s
	}
	return ""
}

// Code is a field that comes as text or as a number, as it is written; empty otherwise.
func (f Fields) Code(name string) string {
	if s := f.Text(name); s != "" {
		return s
	}
	var n json.Number
	if json.Unmarshal(f.raw(name), &n) != nil || !Plain(n.String()) {
		return ""
	}
	return n.String()
}

// Minor is a field with an amount in minor units, a whole number or its text. An absent one is nothing; false when it
// is there and makes no sense.
func (f Fields) Minor(name string) (int64, bool) {
	if raw := f.raw(name); len(raw) == 0 || string(raw) == "null" || string(raw) == `""` {
		return 0, true
	}
	n, err := strconv.ParseInt(f.Code(name), 10, 64)
	return n, err == nil && n >= 0 && n <= state.MaxMinor
}

// Evidence is those of the named fields that are plain identifiers, codes or numbers.
func (f Fields) Evidence(names ...string) map[string]string {
	kept := map[string]string{}
	for _, name := range names {
		if s := f.Code(name); s != "" {
			kept[name] = s
		}
	}
	return kept
}

func (f Fields) raw(name string) json.RawMessage { return f[strings.ToLower(name)] }

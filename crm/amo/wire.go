package amo

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// scalar is a JSON string, number or boolean as text. The CRM writes ids, request ids and field values sometimes
// as strings and sometimes as numbers; anything else reads as "".
type scalar string

// UnmarshalJSON never fails: one odd value must not make a whole answer unreadable.
func (s *scalar) UnmarshalJSON(raw []byte) error {
	*s = ""
	switch {
	case bytes.Equal(raw, []byte("null")), raw[0] == '{', raw[0] == '[':
	case raw[0] == '"':
		var text string
		_ = json.Unmarshal(raw, &text) // the decoder has already checked the syntax
		*s = scalar(text)
	default:
		*s = scalar(raw)
	}
	return nil
}

// unmarshal reads an answer. A value of an unexpected type (the CRM writes empty objects as []) leaves its field
// empty; only broken JSON is an error.
func unmarshal(body []byte, out any) error {
	err := json.Unmarshal(body, out)
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return nil
	}
	return err
}

var (
	wholeID = regexp.MustCompile(`^[1-9][0-9]{0,18}$`)
	plain   = regexp.MustCompile(`^(-?)([0-9]{1,24})(?:\.([0-9]{1,12}))?$`)
	exp     = regexp.MustCompile(`^(-?)([0-9])(?:\.([0-9]{1,20}))?[eE]\+?([0-9]{1,2})$`)
)

// isID reports whether id is one the CRM could have given.
func isID(id string) bool { return wholeID.MatchString(id) }

// number is an id as a JSON number; id must be an isID.
func number(id string) json.Number { return json.Number(id) }

// decimals are the currencies that do not have two decimals (ISO 4217).
var decimals = map[string]int{"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0,
	"PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3}

// decimal brings an amount as the CRM writes it ("12", 300.99, 1.0e+15) into decimal text with the currency's
// number of decimals; further decimals are kept when they are not zero. It returns "" for what is no amount.
// Digits are moved as text, so nothing is rounded.
func decimal(raw, currency string) string {
	var sign, whole, frac string
	if m := plain.FindStringSubmatch(raw); m != nil {
		sign, whole, frac = m[1], m[2], m[3]
	} else if m := exp.FindStringSubmatch(raw); m != nil {
		shift, _ := strconv.Atoi(m[4])
		if shift > 24 {
			return ""
		}
		digits := m[3] + strings.Repeat("0", max(0, shift-len(m[3])))
		sign, whole, frac = m[1], m[2]+digits[:shift], digits[shift:]
	} else {
		return ""
	}
	want, ok := decimals[currency]
	if !ok {
		want = 2
	}
	whole = strings.TrimLeft(whole, "0")
	frac = strings.TrimRight(frac, "0")
	frac += strings.Repeat("0", max(0, want-len(frac)))
	if whole == "" {
		whole = "0"
	}
	if frac != "" {
		frac = "." + frac
	}
	return sign + whole + frac
}

// moment reads a time as the CRM writes it: Unix seconds, or RFC 3339.
func moment(raw string) time.Time {
	if seconds, err := strconv.ParseInt(raw, 10, 64); err == nil && seconds > 0 {
		return time.Unix(seconds, 0).UTC()
	}
	at, err := time.Parse(time.RFC3339, raw)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// list is the envelope of every list answer (Kommo "Response format", HAL). An empty list is answered with 204
// and no body at all.
type list[T any] struct {
	Links struct {
		Next struct {
			Href string `json:"href"`
		} `json:"next"`
	} `json:"_links"`
	Embedded map[string][]T `json:"_embedded"`
}

package bitrix24

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// params are the parameters of a method: strings, integers, nested params, and lists of either.
type params map[string]any

// encode writes params as PHP reads a query: fields[UF_CRM_X]=1&enum[0][value]=Paid.
func (p params) encode() string {
	q := url.Values{}
	for name, value := range p {
		put(q, name, value)
	}
	return q.Encode()
}

func put(q url.Values, name string, value any) {
	switch v := value.(type) {
	case params:
		for key, inner := range v {
			put(q, name+"["+key+"]", inner)
		}
	case []params:
		for i, inner := range v {
			put(q, fmt.Sprintf("%s[%d]", name, i), inner)
		}
	case []string:
		for i, inner := range v {
			put(q, fmt.Sprintf("%s[%d]", name, i), inner)
		}
	default:
		q.Set(name, fmt.Sprint(v))
	}
}

// text reads any scalar, because ids come as numbers and as strings, and flags as Y, true or 1. A number keeps
// its digits: an amount never becomes a float. What is no scalar (an empty value may be [] or {}) reads as "".
type text string

// UnmarshalJSON reads a scalar.
func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	switch b = bytes.TrimSpace(b); {
	case len(b) == 0 || b[0] == '[' || b[0] == '{' || bytes.Equal(b, []byte("null")):
		return nil
	case b[0] == '"':
		return json.Unmarshal(b, (*string)(t))
	default:
		*t = text(b)
		return nil
	}
}

func (t text) int() int {
	n, _ := strconv.Atoi(string(t))
	return n
}

func (t text) yes() bool {
	switch strings.ToLower(string(t)) {
	case "y", "true", "1":
		return true
	}
	return false
}

// object reads a map; PHP writes an empty one as [].
type object map[string]json.RawMessage

// UnmarshalJSON reads a map, or a list as a map by its indices.
func (o *object) UnmarshalJSON(b []byte) error {
	*o = nil
	switch b = bytes.TrimSpace(b); {
	case len(b) > 0 && b[0] == '[':
		var list []json.RawMessage
		if err := json.Unmarshal(b, &list); err != nil {
			return err
		}
		*o = object{}
		for i, v := range list {
			(*o)[strconv.Itoa(i)] = v
		}
		return nil
	case len(b) > 0 && b[0] == '{':
		return json.Unmarshal(b, (*map[string]json.RawMessage)(o))
	default:
		return nil
	}
}

// text is a scalar of the map, "" when it is missing.
func (o object) text(key string) string {
	var t text
	if raw, ok := o[key]; ok {
		_ = json.Unmarshal(raw, &t) // what is no scalar stays ""
	}
	return string(t)
}

// isID reports whether s is an id as Bitrix24 writes them: a positive integer.
func isID(s string) bool {
	return s != "" && len(s) <= 18 && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}

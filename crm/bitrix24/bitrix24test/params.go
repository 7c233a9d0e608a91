package bitrix24test

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// params are the decoded parameters of a call: JSON values, or PHP bracket keys made into
// the same shape (page "Data Encoding").
type params = map[string]any

// decodeParams reads the query and an already read body. keys are the keys of cmd in the order sent, which a
// batch runs them in.
func decodeParams(r *http.Request, body []byte) (p params, keys []string, err error) {
	p = fromForm(r.URL.Query())
	keys = formKeys(r.URL.RawQuery, "cmd")
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case len(body) == 0:
	case kind == "application/json":
		dec := json.NewDecoder(strings.NewReader(string(body)))
		dec.UseNumber()
		var in params
		if err := dec.Decode(&in); err != nil {
			return nil, nil, err
		}
		for k, v := range in {
			p[k] = v
		}
		keys = append(keys, jsonKeys(body, "cmd")...)
	default:
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, nil, err
		}
		for k, v := range fromForm(form) {
			p[k] = v
		}
		keys = append(keys, formKeys(string(body), "cmd")...)
	}
	return p, keys, nil
}

// fromForm turns PHP bracket keys (a[b][]=c) into nested maps.
func fromForm(form url.Values) params {
	out := params{}
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for _, value := range form[name] {
			put(out, path(name), value)
		}
	}
	return out
}

func path(name string) []string {
	base, rest, found := strings.Cut(name, "[")
	if !found || base == "" {
		return []string{name}
	}
	return append([]string{base}, strings.Split(strings.TrimSuffix(rest, "]"), "][")...)
}

func put(at params, path []string, value string) {
	key := path[0]
	if key == "" {
		key = strconv.Itoa(len(at))
	}
	if len(path) == 1 {
		at[key] = value
		return
	}
	next, ok := at[key].(params)
	if !ok {
		next = params{}
		at[key] = next
	}
	put(next, path[1:], value)
}

func formKeys(raw, of string) (keys []string) {
	seen := map[string]bool{}
	for _, pair := range strings.Split(raw, "&") {
		name, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if p := path(name); err == nil && len(p) > 1 && p[0] == of {
			key := p[1]
			if key == "" {
				key = strconv.Itoa(len(keys))
			}
			if !seen[key] {
				seen[key] = true
				keys = append(keys, key)
			}
		}
	}
	return keys
}

func jsonKeys(body []byte, of string) (keys []string) {
	var outer map[string]json.RawMessage
	if json.Unmarshal(body, &outer) != nil {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(string(outer[of])))
	open, err := dec.Token()
	for i := 0; err == nil && dec.More(); i++ {
		key := strconv.Itoa(i)
		if open == json.Delim('{') {
			var token json.Token
			if token, err = dec.Token(); err != nil {
				break
			}
			key, _ = token.(string)
		}
		keys = append(keys, key)
		var skip json.RawMessage
		err = dec.Decode(&skip)
	}
	return keys
}

// text is v as the portal would read a scalar; "" for null, lists and maps.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		if v {
			return "1"
		}
		return "0"
	}
	return ""
}

// number is v as a positive id, 0 when it is none.
func number(v any) int {
	n, err := strconv.Atoi(strings.TrimSpace(text(v)))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// yes reads the many spellings of true.
func yes(v any) bool {
	switch strings.ToLower(text(v)) {
	case "y", "1", "true":
		return true
	}
	return false
}

// object is v as a map; an empty list is an empty map, as in PHP.
func object(v any) (params, bool) {
	switch v := v.(type) {
	case params:
		return v, true
	case []any:
		out := params{}
		for i, x := range v {
			out[strconv.Itoa(i)] = x
		}
		return out, true
	}
	return nil, false
}

// list is v as a list; a map with numeric keys is one, too.
func list(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case params:
		keys := make([]int, 0, len(v))
		for k := range v {
			if n, err := strconv.Atoi(k); err == nil {
				keys = append(keys, n)
			}
		}
		sort.Ints(keys)
		out := make([]any, 0, len(keys))
		for _, k := range keys {
			out = append(out, v[strconv.Itoa(k)])
		}
		return out
	}
	return nil
}

// phpMap is encoded as PHP encodes an array: an empty one is [], one with the keys
// 0 to n-1 is a list.
type phpMap map[string]any

// MarshalJSON encodes m.
func (m phpMap) MarshalJSON() ([]byte, error) {
	values := make([]any, len(m))
	for i := range values {
		v, ok := m[strconv.Itoa(i)]
		if !ok {
			return json.Marshal(map[string]any(m))
		}
		values[i] = v
	}
	return json.Marshal(values)
}

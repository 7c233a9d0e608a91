package amotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// pageLimit is the most entities a list or a batch may have.
const pageLimit = 250

// page answers one page of a list: 204 when there is nothing on it.
func (c *call) page(key string, all []map[string]any) *answer {
	q := c.query()
	limit, number := intOr(q.Get("limit"), pageLimit), intOr(q.Get("page"), 1)
	if limit > pageLimit {
		return refuse(http.StatusUnprocessableEntity, fmt.Sprint("Limit ", pageLimit, " per page"))
	}
	if limit < 1 || number < 1 {
		return refuse(http.StatusBadRequest, "Request validation failed")
	}
	from := min((number-1)*limit, len(all))
	to := min(from+limit, len(all))
	if from == to {
		return empty
	}
	links := map[string]any{"self": c.pageLink(q, number, limit)}
	if to < len(all) {
		links["next"] = c.pageLink(q, number+1, limit)
	}
	if number > 1 {
		links["first"], links["prev"] = c.pageLink(q, 1, limit), c.pageLink(q, number-1, limit)
	}
	return &answer{http.StatusOK, map[string]any{"_page": number, "_links": links,
		"_embedded": map[string]any{key: all[from:to]}}}
}

func (c *call) pageLink(q url.Values, number, limit int) map[string]any {
	copied := url.Values{}
	for k, v := range q {
		copied[k] = v
	}
	copied.Set("page", strconv.Itoa(number))
	copied.Set("limit", strconv.Itoa(limit))
	return map[string]any{"href": c.url + c.r.URL.Path + "?" + copied.Encode()}
}

// total answers a list that carries _total_items; 204 when it is empty.
func (c *call) total(key string, all []map[string]any, path string, parts ...any) *answer {
	if len(all) == 0 {
		return empty
	}
	return &answer{http.StatusOK, map[string]any{"_total_items": len(all), "_links": c.self(path, parts...),
		"_embedded": map[string]any{key: all}}}
}

func intOr(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return otherwise
}

// query is the request's query, read once: a list asks for it with every entity.
func (c *call) query() url.Values {
	if c.asked == nil {
		c.asked, c.filters = c.r.URL.Query(), map[string]map[string]bool{}
	}
	return c.asked
}

// with reports whether the request asks for this addition.
func (c *call) with(name string) bool {
	return slices.Contains(strings.Split(c.query().Get("with"), ","), name)
}

// filter is the set of the values of filter[name], filter[name][] and filter[name][0..n].
func (c *call) filter(name string) map[string]bool {
	query := c.query()
	out, known := c.filters[name]
	if known {
		return out
	}
	out = map[string]bool{}
	for key, values := range query {
		rest, ok := strings.CutPrefix(key, "filter["+name+"]")
		if !ok {
			continue
		}
		if _, err := strconv.Atoi(strings.Trim(rest, "[]")); rest == "" || rest == "[]" || err == nil {
			for _, v := range values {
				out[v] = true
			}
		}
	}
	c.filters[name] = out
	return out
}

// passes reports whether v is among the filter's values, or there is no such filter.
func (c *call) passes(name string, v any) bool {
	wanted := c.filter(name)
	if id, ok := v.(int64); ok { // the usual one, asked of thousands
		return len(wanted) == 0 || wanted[strconv.FormatInt(id, 10)]
	}
	return len(wanted) == 0 || wanted[fmt.Sprint(v)]
}

// passesFlag is passes for a filter written as 0 and 1 or false and true.
func (c *call) passesFlag(name string, v bool) bool {
	digit := "0"
	if v {
		digit = "1"
	}
	return c.passes(name, v) || c.passes(name, digit)
}

// since reports whether at lies within filter[name][from] and filter[name][to].
func (c *call) since(name string, at int64) bool {
	q := c.query()
	from, to := q.Get("filter["+name+"][from]"), q.Get("filter["+name+"][to]")
	return at >= int64(intOr(from, 0)) && (to == "" || at <= int64(intOr(to, 0)))
}

// elem is one element of a request's array, with what is wrong with it.
type elem struct {
	data    map[string]any
	request any
	faults  []fault
}

// one reads a body that is a single object.
func (c *call) one() (*elem, *answer) {
	raw, refused := c.body()
	if refused != nil {
		return nil, refused
	}
	m, ok := raw.(map[string]any)
	if !ok {
		return nil, refuse(http.StatusBadRequest, "Request validation failed")
	}
	return newElem(m, 0), nil
}

// many reads a body that is an array of at most 250 objects.
func (c *call) many() ([]*elem, *answer) {
	raw, refused := c.body()
	if refused != nil {
		return nil, refused
	}
	list, ok := raw.([]any)
	if !ok {
		return nil, refuse(http.StatusBadRequest, "Request validation failed")
	}
	if len(list) > pageLimit {
		return nil, refuse(http.StatusUnprocessableEntity, fmt.Sprint("Limit ", pageLimit, " per page"))
	}
	var out []*elem
	for i, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			return nil, refuse(http.StatusBadRequest, "Request validation failed")
		}
		out = append(out, newElem(m, i))
	}
	return out, nil
}

func (c *call) body() (any, *answer) {
	content, _ := io.ReadAll(c.r.Body)
	var raw any
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	if err := d.Decode(&raw); err != nil && len(bytes.TrimSpace(content)) > 0 {
		return nil, refuse(http.StatusBadRequest, "Syntax error")
	}
	switch v := raw.(type) {
	case nil:
		return nil, refuse(http.StatusBadRequest, "Request data can not be empty")
	case []any:
		if len(v) == 0 {
			return nil, refuse(http.StatusBadRequest, "Request data can not be empty")
		}
	}
	return raw, nil
}

func newElem(m map[string]any, index int) *elem {
	e := &elem{data: m, request: strconv.Itoa(index)}
	if id, ok := m["request_id"]; ok {
		e.request = id
	}
	return e
}

func (e *elem) bad(f fault) { e.faults = append(e.faults, f) }

// known refuses keys that the documentation does not list.
func (e *elem) known(keys ...string) {
	for k := range e.data {
		if k != "request_id" && !slices.Contains(keys, k) {
			e.bad(refusal("NotExpected", k))
		}
	}
}

// integer reads a whole number; ok is false when it is absent or refused.
func (e *elem) integer(key string) (n int64, ok bool) {
	raw, there := e.data[key]
	if !there {
		return 0, false
	}
	if num, isNumber := raw.(json.Number); isNumber {
		if n, err := num.Int64(); err == nil {
			return n, true
		}
	}
	e.bad(wrongType(key, "int"))
	return 0, false
}

func (e *elem) text(key string) (s string, ok bool) {
	raw, there := e.data[key]
	if !there {
		return "", false
	}
	if s, ok = raw.(string); !ok {
		e.bad(wrongType(key, "string"))
	}
	return s, ok
}

func (e *elem) flag(key string) (v, ok bool) {
	raw, there := e.data[key]
	if !there {
		return false, false
	}
	if v, ok = raw.(bool); !ok {
		e.bad(wrongType(key, "bool"))
	}
	return v, ok
}

// verdict refuses the whole batch when any element has faults.
func verdict(list ...*elem) *answer {
	var all []map[string]any
	for _, e := range list {
		if len(e.faults) > 0 {
			all = append(all, map[string]any{"request_id": fmt.Sprint(e.request), "errors": e.faults})
		}
	}
	if all == nil {
		return nil
	}
	out := refuse(http.StatusBadRequest, "Request validation failed")
	out.body.(map[string]any)["validation-errors"] = all
	return out
}

// written answers a batch, in another order than it came in when Shuffle says so.
func (c *call) written(status int, key, path string, list []map[string]any) *answer {
	if c.switches.Shuffle {
		slices.Reverse(list)
	}
	return &answer{status, map[string]any{"_links": c.self("%s", path), "_embedded": map[string]any{key: list}}}
}

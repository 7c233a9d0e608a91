package amo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	maxHook  = 1 << 20
	maxDepth = 12
)

// ErrHook is returned for a request that is no webhook of this CRM.
var ErrHook = errors.New("amo: not a webhook")

// node is a tree of texts, as PHP-style form keys (leads[status][0][id]=1) and JSON both spell it.
type node struct {
	text string
	kids map[string]*node
}

// at follows keys; a missing node is empty.
func (n *node) at(keys ...string) *node {
	for _, k := range keys {
		next := n.kids[k]
		if next == nil {
			return &node{}
		}
		n = next
	}
	return n
}

// each returns the children in the order of their keys, numbers by value: indexes may have gaps.
func (n *node) each() []*node {
	keys := slices.SortedFunc(maps.Keys(n.kids), func(a, b string) int {
		x, errX := strconv.Atoi(a)
		y, errY := strconv.Atoi(b)
		if errX != nil || errY != nil {
			return strings.Compare(a, b)
		}
		return x - y
	})
	kids := make([]*node, len(keys))
	for i, k := range keys {
		kids[i] = n.kids[k]
	}
	return kids
}

func (n *node) kid(key string) *node {
	if n.kids == nil {
		n.kids = map[string]*node{}
	}
	if n.kids[key] == nil {
		n.kids[key] = &node{}
	}
	return n.kids[key]
}

// hook reads the body of a webhook, a form or JSON, bounded.
func hook(r *http.Request) (*node, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxHook+1))
	if err != nil {
		return nil, fmt.Errorf("read webhook: %w", err)
	}
	if len(body) > maxHook {
		return nil, fmt.Errorf("%w: too long", ErrHook)
	}
	if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 && trimmed[0] == '{' {
		return fromJSON(trimmed)
	}
	return fromForm(string(body))
}

func fromJSON(body []byte) (*node, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHook, err)
	}
	root := &node{}
	root.graft(v, 0)
	return root, nil
}

func (n *node) graft(v any, depth int) {
	if depth > maxDepth {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for k, kid := range v {
			n.kid(k).graft(kid, depth+1)
		}
	case []any:
		for i, kid := range v {
			n.kid(strconv.Itoa(i)).graft(kid, depth+1)
		}
	case string:
		n.text = v
	case json.Number:
		n.text = v.String()
	}
}

// fromForm reads pairs one by one: a pair that cannot be read is left out, and the rest still counts.
func fromForm(body string) (*node, error) {
	root := &node{}
	for pair := range strings.SplitSeq(body, "&") {
		rawKey, rawValue, _ := strings.Cut(pair, "=")
		key, keyErr := url.QueryUnescape(rawKey)
		text, textErr := url.QueryUnescape(rawValue)
		if keyErr != nil || textErr != nil || key == "" {
			continue
		}
		name, rest, _ := strings.Cut(key, "[")
		at := root.kid(name)
		for depth := 0; rest != "" && at != nil; depth++ {
			part, after, closed := strings.Cut(rest, "]")
			if !closed || depth >= maxDepth {
				at = nil
				break
			}
			at, rest = at.kid(part), strings.TrimPrefix(after, "[")
		}
		if at != nil {
			at.text = text
		}
	}
	if len(root.kids) == 0 {
		return nil, fmt.Errorf("%w: no form", ErrHook)
	}
	return root, nil
}
